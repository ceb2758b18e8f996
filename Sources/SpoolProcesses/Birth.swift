// Birth.swift - how a child that did not come from our own memory learns what it is.
//
// Fork server and exec differ in how the process is made; both give it one end of a connection. The parent knows the
// process by then, and sends the birth over it. If the parent has died, or has given up, the connection ends, and so
// does the child: no entry runs that nobody knows of.

private import CSpool
private import Glibc
private import SpoolQueues
internal import SpoolThreads

/// What a child is told.
struct Birth: Codable {
    let identity: Identity
    let entry: String
    let input: [UInt8]
    /// The parent's standard streams; nil for one that is closed.
    let streams: [CarriedDescriptor?]
    let directory: CarriedDescriptor?
    let parent: CarriedDescriptor

    /// What a process is called and where it comes from.
    struct Identity: Codable {
        let name: String
        let daemon: Bool
        let method: StartMethod
        let parentName: String
        let parentID: Int32
    }

    /// - Parameter parent: Stands for the process that sends the birth.
    init(_ identity: Identity, entry: String, input: [UInt8], parent: Int32, directory: Int32) {
        self.identity = identity
        self.entry = entry
        self.input = input
        self.parent = CarriedDescriptor(number: parent)
        self.directory = directory < 0 ? nil : CarriedDescriptor(number: directory)
        streams = (0..<3).map {
            fcntl($0, F_GETFD) < 0 ? nil : CarriedDescriptor(number: $0)
        }
    }
}

/// A descriptor as a value: when it is decoded, the number of the copy that arrived, which nobody closes.
struct CarriedDescriptor: Codable {
    let number: Int32

    init(number: Int32) { self.number = number }

    init(from decoder: any Decoder) throws {
        let index = try decoder.singleValueContainer().decode(Int.self)
        number = try decoder.takeDescriptor(index, of: "descriptor").release()
    }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(encoder.passDescriptor(number, of: "descriptor"))
    }
}

// MARK: - In the child

extension Birth {
    /// Waits for its birth, runs its entry, and ends.
    static func live(_ socket: Int32) -> Never {
        let connection = Connection(checked: socket, true, true)
        do throws(SpoolError) {
            let message = try awaitBirth(over: connection)
            let birth: Birth = try message.value()
            connection.close()
            birth.settle()
            let entry = try EntryRegistry.shared.find(birth.entry)
            ChildBody.run { _ = try entry.run(birth.input, message.descriptors) }
        } catch {
            ChildBody.run { throw error }
        }
    }

    /// The birth, unless the parent has died or given up, perhaps in the midst of it: then the process ends.
    private static func awaitBirth(
        over connection: Connection
    ) throws(SpoolError) -> Connection.Message {
        do throws(SpoolError) {
            return try connection.receive(nil, .never)
        } catch .endOfFile, .badInput {
            _exit(125)
        }
    }

    /// Takes the parent's streams and place over.
    private func settle() {
        for (number, stream) in zip(Int32(0)..., streams) {
            let source = stream?.number ?? open("/dev/null", O_RDWR | O_CLOEXEC)
            dup2(source, number)
            close(source)
        }
        if let directory {
            // Where the parent has no place any more the child has none too.
            _ = fchdir(directory.number)
            close(directory.number)
        }
        Self.become(identity, parent: parent.number)
    }

    /// Sets what this process is. Of a daemon it sees to it that it ends with its parent.
    /// - Parameter parent: Stands for the parent.
    static func become(_ identity: Identity, parent: Int32) {
        spool_name_thread(identity.name)
        ChildRoll.shared.become(
            CurrentProcess(
                name: identity.name, daemon: identity.daemon, method: identity.method,
                parent: ParentProcess(identity, parent)))
        guard identity.daemon else { return }
        // The kernel's signal comes when the thread ends that made this process, which for spawn may be any.
        if identity.method != .spawn { spool_die_with_parent() }
        if spool_wait_ready(parent, Int32(POLLIN), -1, 0) != 0 { _exit(125) }
        guard identity.method == .spawn else { return }
        do throws(SpoolError) {
            try Thread.detach("spool-parent") {
                while spool_wait_ready(parent, Int32(POLLIN), -1, -1) <= 0 {}
                kill(getpid(), SIGKILL)
            }
        } catch {
            ChildBody.run { throw error }
        }
    }
}

/// The life of a child process between its birth and its end.
enum ChildBody {
    /// Runs `body`, waits for what it has begun, and ends the process.
    static func run(_ body: () throws -> Void) -> Never {
        let status = attempt(body)
        // As exit(3) does in other processes: what was submitted is done, then the rest is waited for.
        OpenCrews.shared.end()
        ThreadPool.endAll()
        Thread.joinAll()
        ChildRoll.shared.endAll()
        fflush(nil)
        _exit(status)
    }

    private static func attempt(_ body: () throws -> Void) -> Int32 {
        do {
            try body()
            return 0
        } catch let exit as ChildExit {
            if let message = exit.message { report(message) }
            return exit.status
        } catch {
            report("process '\(ChildProcess.current.name)' ended with an error: \(error)")
            return 1
        }
    }

    private static func report(_ line: String) {
        signal(SIGPIPE, SIG_IGN)  // standard error may be a broken pipe, and the process ends here
        _ = Array((line + "\n").utf8).withUnsafeBytes {
            write(STDERR_FILENO, $0.baseAddress, $0.count)
        }
    }
}
