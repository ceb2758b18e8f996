// ChildProcess+Making.swift - the three ways to make a child.

private import CSpool
private import Glibc
internal import SpoolThreads

extension ChildProcess {
    func make(_ work: Work) throws(SpoolError) {
        guard let entry = work.entry, method != .fork else { return try fork(work) }
        // Another build of the program may know other entries; it says so itself.
        if work.program == Self.ownProgram { _ = try EntryRegistry.shared.find(entry) }
        let passed = PassedDescriptors()
        let input = try work.encode(passed)
        let here = try Descriptor.ofThisProcess()
        let place = Descriptor(owning: open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        let birth = Birth(
            identity, entry: entry, input: input, parent: here.number, directory: place.number)
        let message = try Connection.message(birth, passed)
        // A fork server that was killed may have made a child first: it sees the end of its connection, and ends.
        for _ in 0..<2 {
            let (ours, theirs) = try Descriptor.sockets(packets: false).release()
            let connection = Connection(checked: ours, true, true)
            defer { connection.close() }
            if let newborn = try begin(work.program, Descriptor(owning: theirs)) {
                return try bear(newborn, message, connection)
            }
        }
        throw .noWorker("the fork server was killed as it began.")
    }

    /// Tells a process that waits for its birth what it is.
    private func bear(
        _ newborn: Newborn, _ message: Connection.Outgoing, _ connection: Connection
    ) throws(SpoolError) {
        do throws(SpoolError) {
            try connection.send(message)
        } catch .closed {
            // It has died already: its end says how.
        } catch {
            spool_signal_process(newborn.descriptor, SIGKILL)
            ProcessEnd.reap(newborn.pid)
            Glibc.close(newborn.descriptor)
            throw error
        }
        began(newborn.pid, newborn.descriptor)
    }

    private typealias Newborn = (pid: Int32, descriptor: Int32)

    private var identity: Birth.Identity {
        Birth.Identity(
            name: name, daemon: daemon, method: method, parentName: Self.current.name,
            parentID: getpid())
    }

    /// Makes a process that waits for its birth at the other end of `socket`. Nil: the fork server was killed.
    private func begin(
        _ program: String, _ socket: consuming Descriptor
    ) throws(SpoolError) -> Newborn? {
        if method == .spawn {
            let running = try Zygote.execute(
                Zygote.childArgument, name, program, socket.number)
            return (running.pid, running.pidDescriptor)
        }
        guard let pid = try ChildRoll.shared.fork(socket: socket.number) else { return nil }
        return (pid, try Self.descriptor(of: pid))
    }

    /// The descriptor of a child, which without it would be nobody's.
    private static func descriptor(of pid: Int32) throws(SpoolError) -> Int32 {
        let descriptor = spool_process_descriptor(pid)
        guard descriptor >= 0 else {
            Glibc.kill(pid, SIGKILL)
            ProcessEnd.reap(pid)
            throw .system(call: "pidfd_open", errno: -descriptor)
        }
        return descriptor
    }

    // MARK: - Fork

    private final class Cradle {
        let body: () throws -> Void
        let identity: Birth.Identity
        let parent: Int32

        init(_ body: @escaping () throws -> Void, _ identity: Birth.Identity, _ parent: Int32) {
            self.body = body
            self.identity = identity
            self.parent = parent
        }
    }

    private func fork(_ work: Work) throws(SpoolError) {
        // The main thread of a child sleeps for ever while its work is done on another: it holds no locks.
        let own = Self.current.method
        let others = Thread.countInKernel - (own == nil || own == .spawn ? 1 : 2)
        guard others <= 0 else {
            throw .usage(
                "fork is refused: this process has \(others + 1) threads, whose locks the child would inherit.",
                hint: "Fork before you open stores or start threads, or give a ChildEntry instead.")
        }
        let here = try Descriptor.ofThisProcess()
        let cradle = Cradle(work.body, identity, here.number)
        // Buffered output would be written by both.
        fflush(nil)
        // In the child the object lives on: the frame that holds it is never left.
        let pid = withExtendedLifetime(cradle) {
            spool_fork_child(
                daemon ? 1 : 0,
                { context in
                    guard let context else { _exit(125) }
                    let cradle = Unmanaged<Cradle>.fromOpaque(context).takeUnretainedValue()
                    Birth.become(cradle.identity, parent: cradle.parent)
                    ChildBody.run(cradle.body)
                }, Unmanaged.passUnretained(cradle).toOpaque())
        }
        guard pid > 0 else { throw .system(call: "fork", errno: -pid) }
        began(pid, try Self.descriptor(of: pid))
    }
}

extension Descriptor {
    /// Stands for this process: readable when it has ended.
    static func ofThisProcess() throws(SpoolError) -> Descriptor {
        let number = spool_process_descriptor(getpid())
        guard number >= 0 else { throw .system(call: "pidfd_open", errno: -number) }
        return Descriptor(owning: number)
    }
}
