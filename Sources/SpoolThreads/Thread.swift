// Thread.swift - a thread of the operating system that runs a closure.
//
// Threads are made when they are first needed, never before: a process that may still fork has only one.

private import CSpool
private import Glibc

/// Threads of the operating system. See pthread_create(3).
public enum Thread {
    /// Starts a thread that runs `body` and ends with it. The process does not wait for it.
    /// - Throws: `system` when the system has no thread left.
    public static func detach(
        _ name: String, _ body: @escaping @Sendable () -> Void
    ) throws(SpoolError) {
        let box = Unmanaged.passRetained(
            Body {
                spool_name_thread(name)
                body()
            })
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw .system(call: "pthread_create", errno: status)
        }
        pthread_detach(thread)
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
