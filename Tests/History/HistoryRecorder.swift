// HistoryRecorder.swift - how threads write a history: each into pages of its own, put together at the end.

internal import SpoolThreads

/// Collects what its clients wrote.
///
/// Safe from any thread.
public final class HistoryRecorder: Sendable {
    private let pages = Pages()

    private final class Pages: @unchecked Sendable {  // touched with the lock held only
        let lock = Lock()
        var events: [HistoryEvent] = []
        var clients: Int64 = 0
    }

    /// With nothing written.
    public init() {}

    /// A client for one thread; what it wrote counts once it was closed.
    public func client() -> HistoryClient {
        let number = pages.lock.withLock { () -> Int64 in
            pages.clients += 1
            return pages.clients
        }
        return HistoryClient(number, self)
    }

    func keep(_ events: [HistoryEvent]) { pages.lock.withLock { pages.events += events } }

    /// Items that are still there at the end.
    public func left(_ items: [Int64]) {
        keep(
            items.map {
                HistoryEvent(time: HistoryClient.time(), process: 0, .info, .left, item: $0)
            })
    }

    /// All that was written.
    public var events: [HistoryEvent] { pages.lock.withLock { pages.events } }
}

/// One thread's part of a history.
public final class HistoryClient {
    private let number: Int64
    private let recorder: HistoryRecorder
    private var events: [HistoryEvent] = []

    init(_ number: Int64, _ recorder: HistoryRecorder) {
        self.number = number
        self.recorder = recorder
    }

    static func time() -> Int64 { Int64(clamping: Deadline.now().nanoseconds) }

    /// Writes down that it begins something.
    public func begin(
        _ operation: HistoryEvent.Operation, item: Int64? = nil, attempt: Int64? = nil,
        priority: Int64? = nil, queue: String? = nil
    ) {
        events.append(
            HistoryEvent(
                time: Self.time(), process: number, .invoke, operation, item: item,
                attempt: attempt, priority: priority, queue: queue))
    }

    /// Writes down how that ended.
    public func end(
        _ operation: HistoryEvent.Operation, _ kind: HistoryEvent.Kind = .return,
        item: Int64? = nil, attempt: Int64? = nil
    ) {
        events.append(
            HistoryEvent(
                time: Self.time(), process: number, kind, operation, item: item, attempt: attempt))
    }

    /// Hands over what it wrote.
    public func close() {
        recorder.keep(events)
        events = []
    }
}
