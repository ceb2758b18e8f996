// ConsumerLink.swift - the supervisor's end of the line to one consumer.

private import Glibc
internal import SpoolJobs
internal import SpoolProcesses
internal import SpoolThreads

/// Sends without waiting, reads what is there, and learns how the process ended.
final class ConsumerLink {
    let slot: Int
    /// Its place in the shared page, its own: one that was given up as it was born may still write there.
    let cell: Int
    let socket: Int32
    /// Known since its hello.
    private(set) var pid: Int32?
    /// How it ended, once it was reaped.
    var end: ProcessEnd?
    /// Everything that it ever said was read.
    private(set) var isClosed = false
    /// Why it is not listened to any more: what it said was no message.
    private(set) var nonsense: String?
    private var reader = FrameReader()
    private var writer = FrameWriter()
    private var places: Set<Int64> = []

    init(slot: Int, cell: Int, owning socket: Int32, _ setup: ConsumerSetup) {
        self.slot = slot
        self.cell = cell
        self.socket = socket
        writer.put(setup)
    }

    deinit { close(socket) }

    /// Both its words and its end are known.
    var isBuried: Bool { isClosed && (pid == nil || end != nil) }

    /// Bytes wait for room in the socket.
    var isBlocked: Bool { !writer.isEmpty }

    /// What was read.
    struct News {
        var saidHello = false
        var outcomes: [Outcome] = []
        var isUnbarred = false
        /// There was nothing to be read.
        var isAll = false
    }

    /// What was said before nonsense counts; after it nothing does.
    func listen() throws(SpoolError) -> News {
        var news = News()
        switch try reader.fill(from: socket, waiting: false) {
        case .some: break
        case .nothing: news.isAll = true
        case .end: isClosed = true
        }
        do throws(SpoolError) {
            try reader.forEach { (kind, payload) throws(SpoolError) in
                try take(kind, &payload, &news)
            }
        } catch {
            isClosed = true
            nonsense = error.message
        }
        return news
    }

    private func take(
        _ kind: UInt8, _ payload: inout FramePayload, _ news: inout News
    ) throws(SpoolError) {
        switch MessageKind(rawValue: kind) {
        case .hello:
            let number: Int32 = try payload.integer()
            // It is sent a signal later.
            guard pid == nil, number > 1 else {
                throw .badInput("a consumer says that it is process \(number).")
            }
            pid = number
            news.saidHello = true
        case .outcome: news.outcomes.append(try payload.outcome())
        case .unbarred: news.isUnbarred = true
        default: throw .badInput("a supervisor got a message of kind \(kind).")
        }
    }

    /// Puts a job into the buffer, and before it where it runs, if that was not told before.
    func send(_ job: ClaimedJob, place: (Int64) throws(SpoolError) -> Place) throws(SpoolError) {
        if let id = job.place, !places.contains(id) {
            writer.put(try place(id), id: id)
            if places.count == KnownPlaces.limit { places = [] }
            places.insert(id)
        }
        writer.put(job)
    }

    func send(_ order: StopOrder) { writer.put(order) }

    func recall() { writer.putRecall() }

    func bar() { writer.putBar() }

    /// Writes what the socket takes. A consumer that is gone is noticed when it is read from.
    func flush() throws(SpoolError) {
        guard !writer.isEmpty else { return }
        if try !writer.flush(to: socket, waiting: false) { writer = FrameWriter() }
    }
}
