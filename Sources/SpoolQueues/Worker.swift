// Worker.swift - what a thread of a pool knows about itself.

private import Glibc

/// One thread of a pool. Only that thread changes it.
@usableFromInline final class Worker: @unchecked Sendable {  // belongs to its thread
    @usableFromInline let crew: Workforce
    /// The future whose task runs or whose callbacks do; nil before the first.
    @usableFromInline @exclusivity(unchecked) var running: ObjectIdentifier?

    init(_ crew: Workforce) { self.crew = crew }

    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    /// Whose thread the caller is; nil in all others.
    @usableFromInline static var current: Worker? {
        guard let key, let pointer = pthread_getspecific(key) else { return nil }
        return Unmanaged<Worker>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Called by the thread; it keeps the worker alive until ``leave()``.
    func beCurrent() {
        guard let key = Worker.key else { return }
        pthread_setspecific(key, Unmanaged.passUnretained(self).toOpaque())
    }

    func leave() {
        guard let key = Worker.key else { return }
        pthread_setspecific(key, nil)
    }
}
