// ForkServer.swift - the small process that forks consumers: exec'd before there are threads, stores or locks.
//
// It has one thread (checked before each fork), never touches a database, and holds only its socket and the slots'
// memory. A request is one packet with the consumer's end of a socket pair; what comes back is only bad news, because
// a consumer says hello on its own socket. A consumer becomes a child of the server's parent, which is a subreaper.
//
// It leads a session without a terminal, and so do consumers and commands: a Ctrl-C is for the supervisor alone, and a
// command that asks the terminal for a password fails at once, where a background group would be stopped for ever.

private import CSpool
private import Glibc
public import SpoolThreads

/// The supervisor's handle on its fork server.
public struct ForkServer: Sendable {
    /// First argument of the program that makes it a fork server.
    public static let argument = "__fork-server"
    /// What ps shows instead of the program's path.
    private static let title = "spool: fork server"
    /// The call of a `system` error when the server is gone.
    public static let sending = "send to the fork server"
    /// The error when the server takes no request.
    public static let silence = SpoolError.system(call: sending, errno: ETIMEDOUT)
    private static let patience = Duration.seconds(2)

    /// A fork that failed.
    public struct Refusal: Hashable, Sendable {
        /// Which consumer it is: 0 and up.
        public let slot: Int
        /// Why it failed.
        public let errno: Int32
    }

    /// The process id of the server.
    public let pid: Int32
    /// Readable when a fork failed or the server ended.
    public let socket: Int32
    private let pidDescriptor: Int32

    private struct Request {
        var slot: Int32
    }

    /// Instead of a slot: a descriptor that the server shall hold as long as it lives.
    private static let lifeline: Int32 = -1

    private struct Reply {
        var slot: Int32
        var errno: Int32
    }

    /// Starts `executable`, which must call ``serveIfAsked(arguments:_:)`` first of all.
    ///
    /// It lives until its socket closes. If its parent dies it ends the consumers and their commands, then itself.
    /// - Throws: `.system` when it cannot be started.
    public static func start(
        executable: String = "/proc/self/exe", slots: Int32
    ) throws(SpoolError) -> ForkServer {
        let (ours, theirs) = try Descriptor.sockets(packets: true).release()
        let input = Descriptor(owning: theirs)
        var command = Command(
            [Array(title.utf8), Array(argument.utf8)], environment: Command.currentEnvironment())
        command.program = Array(executable.utf8)
        let running: RunningCommand
        do {
            running = try command.start(
                .init(input: input.number, output: 2, error: 2), outlives: true)
        } catch {
            Glibc.close(ours)
            let isThere = access(executable, F_OK) == 0
            throw .noWorker(
                "cannot start the fork server: "
                    + (isThere ? error.reason : "\(executable) is not there; is /proc mounted?"))
        }
        var nothing: UInt8 = 0
        let server = ForkServer(
            pid: running.pid, socket: ours, pidDescriptor: running.pidDescriptor)
        let status = spool_send_packet(ours, &nothing, 1, slots)
        guard status == 0 else {
            server.end()
            throw .system(call: Self.sending, errno: -status)
        }
        return server
    }

    /// Asks for a consumer that talks through `socket`, which the caller then closes.
    /// - Throws: `.system` when the server is gone; ``silence``.
    public func fork(slot: Int, socket consumer: Int32) throws(SpoolError) {
        try send(Int32(slot), consumer)
    }

    /// Lets the server, and the consumers that it forks from now on, hold a copy of a descriptor: a lock that must stay
    /// until they have ended.
    /// - Throws: `.system` when the server is gone; ``silence``.
    public func hold(_ descriptor: Int32) throws(SpoolError) {
        try send(Self.lifeline, descriptor)
    }

    private func send(_ slot: Int32, _ descriptor: Int32) throws(SpoolError) {
        // Some hundred requests fill the socket of one that was stopped, and who waits for it hears nobody else.
        let deadline = Deadline(after: Self.patience)
        while spool_wait_ready(socket, Int32(POLLOUT), -1, deadline.pollTimeout()) <= 0 {
            if deadline.isPast { throw Self.silence }
        }
        var request = Request(slot: slot)
        let status = spool_send_packet(
            socket, &request, MemoryLayout<Request>.size, descriptor)
        guard status == 0 else { throw .system(call: Self.sending, errno: -status) }
    }

    /// The next fork that failed. Call it when `socket` is readable. Nil: the server has ended.
    public func refusal() -> Refusal? {
        var reply = Reply(slot: 0, errno: 0)
        var descriptor: Int32 = -1
        let count = spool_receive_packet(socket, &reply, MemoryLayout<Reply>.size, &descriptor)
        guard count == MemoryLayout<Reply>.size else { return nil }
        return Refusal(slot: Int(reply.slot), errno: reply.errno)
    }

    /// Lets the server go: it ends when it sees the end of its socket, and is then a child to be reaped.
    public func close() {
        Glibc.close(socket)
        Glibc.close(pidDescriptor)
    }

    /// Kills it, if it lives, and lets it go: it is then a child to be reaped. At the end of its socket it would take
    /// the worker for dead, and end all its consumers.
    public func dismiss() {
        spool_signal_process(pidDescriptor, SIGKILL)
        close()
    }

    /// Kills it, and waits until it has ended.
    public func end() {
        dismiss()
        ProcessEnd.reap(pid)
    }
}

extension ForkServer {
    /// What a new consumer gets.
    public struct Birth: Sendable {
        /// Which consumer it is: 0 and up.
        public let slot: Int
        /// Its end of the connection to the supervisor.
        public let socket: Int32
        /// The memory that all consumers share with the supervisor.
        public let slots: SlotPage
    }

    private final class Cradle {
        let birth: Birth
        let serverSocket: Int32
        let body: @Sendable (Birth) -> Never

        init(_ birth: Birth, _ serverSocket: Int32, _ body: @escaping @Sendable (Birth) -> Never) {
            self.birth = birth
            self.serverSocket = serverSocket
            self.body = body
        }
    }

    /// If this process was started as a fork server, serves until the supervisor is gone, and does not return.
    ///
    /// Call it first of all, while there is one thread and nothing is open.
    /// - Parameter orphaned: Called when the supervisor ended without a word, with the jobs that it was at.
    public static func serveIfAsked(
        arguments: [[UInt8]] = Command.ownWords(), orphaned: ([Int64]) -> Void = { _ in },
        _ body: @escaping @Sendable (Birth) -> Never
    ) {
        guard arguments.dropFirst().first == Array(argument.utf8) else { return }
        spool_reset_signals()
        // It ends with the supervisor's socket, and so do its children: what is sent to all of them, as systemd does
        // unless told otherwise, is the supervisor's to hear.
        spool_outlive_signals()
        spool_name_thread("spool forks")
        let socket = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard socket >= 0, null >= 0, dup2(null, 0) == 0 else { _exit(71) }
        Glibc.close(null)
        var nothing: UInt8 = 0
        var file: Int32 = -1
        guard spool_receive_packet(socket, &nothing, 1, &file) == 1, file >= 0 else { _exit(0) }
        // Without the memory there is nobody to tell: the supervisor sees that we have ended.
        guard let slots = try? SlotPage(mapping: file) else { _exit(71) }
        Glibc.close(file)
        serve(socket, slots, orphaned, body)
    }

    private static func serve(
        _ socket: Int32, _ slots: SlotPage, _ orphaned: ([Int64]) -> Void,
        _ body: @escaping @Sendable (Birth) -> Never
    ) -> Never {
        while true {
            var request = Request(slot: 0)
            var consumer: Int32 = -1
            let count = spool_receive_packet(
                socket, &request, MemoryLayout<Request>.size, &consumer)
            guard count == MemoryLayout<Request>.size else {
                // The supervisor is gone. The lifeline goes last: until then nobody else may have its jobs.
                let jobs = (0..<SlotPage.limit).map { slots.job($0) }.filter { $0 != 0 }
                slots.endAll()
                orphaned(jobs)
                _exit(0)
            }
            guard request.slot != lifeline else { continue }
            let birth = Birth(slot: Int(request.slot), socket: consumer, slots: slots)
            let status = consumer < 0 ? EMFILE : fork(Cradle(birth, socket, body))
            if consumer >= 0 { Glibc.close(consumer) }
            guard status != 0 else { continue }
            var reply = Reply(slot: request.slot, errno: status)
            guard spool_send_packet(socket, &reply, MemoryLayout<Reply>.size, -1) == 0 else {
                _exit(0)
            }
        }
    }

    /// Returns 0 or an errno.
    private static func fork(_ cradle: Cradle) -> Int32 {
        precondition(Thread.countInKernel == 1, "the fork server has more than one thread")
        let context = Unmanaged.passUnretained(cradle).toOpaque()
        // In the child the object lives on: the frame that holds it is never left.
        let status = withExtendedLifetime(cradle) {
            spool_fork_adopted(
                "spool consumer", 1,
                { context in
                    guard let context else { _exit(71) }
                    let cradle = Unmanaged<Cradle>.fromOpaque(context).takeUnretainedValue()
                    Glibc.close(cradle.serverSocket)
                    spool_title("spool: consumer", 2)
                    cradle.birth.slots.setConsumer(getpid(), cradle.birth.slot)
                    cradle.body(cradle.birth)
                }, context)
        }
        return status < 0 ? -status : 0
    }
}
