// Zygote.swift - the small process that forks children for an application: executed anew, with one thread.
//
// It holds only its socket. A request is one packet with the child's end of a connection; the answer is the child's
// process id, or an errno. The child belongs to the application: the zygote forks twice, and while it is asked the
// application adopts orphans. So the child outlives the zygote, and its end is told to the application by the kernel.
// The worker has a fork server of its own (ForkServer): its consumers end with it, and it with the worker.

private import CSpool
private import Glibc
internal import SpoolThreads

/// The application's handle on its zygote. One thread at a time asks.
struct Zygote: Sendable {
    /// First argument of the program that makes it a zygote.
    static let argument = "__spool-zygote"
    /// First argument of the program that makes it a child.
    static let childArgument = "__spool-child"
    /// An answer takes a millisecond; after so long the zygote is stopped or broken, and gets replaced.
    private static let patience = Duration.seconds(20)

    private let process: RunningCommand
    private let socket: Int32

    private struct Answer {
        var number: Int32  // a process id, or a negated errno
    }

    /// Starts one: this program, executed anew.
    static func start() throws(SpoolError) -> Zygote {
        let (ours, theirs) = try Descriptor.sockets(packets: true).release()
        let end = Descriptor(owning: theirs)
        do throws(SpoolError) {
            return Zygote(
                process: try execute(argument, "fork server", "/proc/self/exe", end.number),
                socket: ours)
        } catch {
            close(ours)
            throw error
        }
    }

    /// Executes a program, with one end of a connection as its standard input.
    /// - Parameter title: What ps shows behind the program's name.
    static func execute(
        _ argument: String, _ title: String, _ program: String, _ socket: Int32
    ) throws(SpoolError) -> RunningCommand {
        let own = CommandLine.arguments.first?.split(separator: "/").last ?? "spool"
        var command = Command(
            ["\(own): \(title)", argument].map { Array($0.utf8) },
            environment: Command.currentEnvironment())
        command.program = Array(program.utf8)
        let null = try Descriptor.null()
        func open(_ number: Int32) -> Int32 { fcntl(number, F_GETFD) < 0 ? null.number : number }
        do {
            return try command.start(
                .init(input: socket, output: open(1), error: open(2)), Command.Ties())
        } catch {
            throw .noWorker("cannot start the \(title): \(error.reason).")
        }
    }

    /// Asks for a child, which gets `socket`. Nil: the zygote is gone.
    /// - Throws: `system` when it has no process or descriptor left.
    func fork(socket child: Int32) throws(SpoolError) -> Int32? {
        let before = spool_become_subreaper(1)
        guard before >= 0 else { throw .system(call: "prctl", errno: -before) }
        defer { _ = spool_become_subreaper(before) }
        var nothing: UInt8 = 0
        guard spool_send_packet(socket, &nothing, 1, child) == 0 else { return nil }
        let deadline = Deadline(after: Self.patience)
        while true {
            let count = spool_wait_ready(socket, Int32(POLLIN), -1, deadline.pollTimeout())
            if count > 0 { break }
            guard !deadline.isPast else { return nil }
        }
        var answer = Answer(number: 0)
        var none: Int32 = -1
        let count = spool_receive_packet(socket, &answer, MemoryLayout<Answer>.size, &none)
        guard count == MemoryLayout<Answer>.size else { return nil }
        guard answer.number > 0 else { throw .system(call: "fork", errno: -answer.number) }
        return answer.number
    }

    /// Makes sure that it is gone, for it does not answer.
    func end() {
        spool_signal_process(process.pidDescriptor, SIGKILL)
        close(socket)
        // Others in this process may have taken its end, or the system, which does so where SIGCHLD is ignored.
        ProcessEnd.reap(process.pid)
        close(process.pidDescriptor)
    }

    /// In a forked child: it is the parent's.
    func abandon() {
        close(socket)
        close(process.pidDescriptor)
    }
}

extension Zygote {
    /// If this process was executed to be a zygote or a child, it is one, and this does not return.
    static func serveIfAsked() {
        let asked = CommandLine.arguments.dropFirst().first
        guard asked == argument || asked == childArgument else { return }
        spool_reset_signals()
        let socket = fcntl(0, F_DUPFD_CLOEXEC, 3)
        guard socket >= 0, close(0) == 0, spool_open_standard_descriptors() == 0 else { _exit(71) }
        if asked == childArgument { Birth.live(socket) }
        serve(socket)
    }

    private final class Cradle {
        let child: Int32
        let server: Int32

        init(_ child: Int32, _ server: Int32) {
            self.child = child
            self.server = server
        }
    }

    private static func serve(_ socket: Int32) -> Never {
        spool_name_thread("spool zygote")
        // A Ctrl-C reaches all processes of a terminal: it is for the application and its children.
        signal(SIGINT, SIG_IGN)
        while true {
            var nothing: UInt8 = 0
            var child: Int32 = -1
            guard spool_receive_packet(socket, &nothing, 1, &child) == 1 else { _exit(0) }
            var answer = Answer(number: child < 0 ? -EMFILE : fork(Cradle(child, socket)))
            if child >= 0 { close(child) }
            guard spool_send_packet(socket, &answer, MemoryLayout<Answer>.size, -1) == 0 else {
                _exit(0)
            }
        }
    }

    private static func fork(_ cradle: Cradle) -> Int32 {
        precondition(Thread.countInKernel == 1, "the zygote has more than one thread")
        // In the child the object lives on: the frame that holds it is never left.
        return withExtendedLifetime(cradle) {
            spool_fork_adopted(
                "spool child", 0,
                { context in
                    guard let context else { _exit(71) }
                    let cradle = Unmanaged<Cradle>.fromOpaque(context).takeUnretainedValue()
                    close(cradle.server)
                    spool_title("spool: child", 2)
                    signal(SIGINT, SIG_DFL)
                    Birth.live(cradle.child)
                }, Unmanaged.passUnretained(cradle).toOpaque())
        }
    }
}
