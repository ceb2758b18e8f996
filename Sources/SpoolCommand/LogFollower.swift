// LogFollower.swift - shows a job's output, from its log file, until the job is finished.
//
// A log is the plain bytes of both streams; its index says which bytes came from which. Woken by inotify on the log and
// by the store's doorbell; nothing is polled but for the doorbell's own safety.

private import CSpool
private import Glibc
internal import SpoolJobs
internal import SpoolThreads

enum LogStreams { case both, errorOnly }

final class LogFollower {
    private let id: Int64
    private let store: Store
    private let screen: Screen
    private let only: Int?
    private let bell: Doorbell
    private let inotify: Int32
    private var attempt = 0
    private var tail: LogTail?
    /// One object for each piece, as `log --json` says.
    var writesJSON = false

    /// - Parameter attempt: Follow this one only; nil follows each as it starts.
    init(_ id: Int64, in store: Store, screen: Screen, attempt: Int?) throws(SpoolError) {
        self.id = id
        self.store = store
        self.screen = screen
        only = attempt
        bell = try Doorbell(.settled, of: store)
        inotify = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard inotify >= 0 else { throw .system(call: "inotify_init1", errno: errno) }
        // The directory tells of a log that appears; it may not be there before the first job ran.
        store.files.makeLogs()
        inotify_add_watch(inotify, store.files.logs, UInt32(IN_CREATE | IN_MODIFY))
    }

    deinit {
        // The command ends with its follower, and need not wait for the kernel to let them go.
        bell.closeElsewhere()
        spool_close_elsewhere(inotify)
    }

    /// Shows what is there and what comes, until the job is finished.
    /// - Parameter whileWaiting: Called at each look at a job that nobody has.
    func follow(
        streams: LogStreams,
        whileWaiting: () throws(SpoolError) -> Void = { () throws(SpoolError) in }
    ) throws(SpoolError) {
        while true {
            let again = bell.answer()
            try bell.goRounds()
            drain()
            let row = try store.job(id, bodyLimit: 0)
            try show(row, streams)
            try screen.flush()
            let isOver = only.map { $0 < row.attempt || row.state != .running } ?? false
            guard row.state.isUnfinished, !isOver, !screen.hasLostItsReader else {
                return try finish()
            }
            if row.state != .running { try whileWaiting() }
            wait(again)
        }
    }

    private func show(_ row: JobRow, _ streams: LogStreams) throws(SpoolError) {
        let last = only ?? row.attempt
        while true {
            if tail == nil, attempt < last {
                attempt = only ?? max(1, attempt + 1)
                tail = LogTail(store.files, id, attempt: attempt, streams: streams)
            }
            try tail?.copy(to: screen, asJSON: writesJSON)
            guard attempt < last else { return }
            try finish()
        }
    }

    private func finish() throws(SpoolError) {
        try tail?.finish(on: screen, asJSON: writesJSON)
        tail = nil
        try screen.flush()
    }

    private func wait(_ again: Duration?) {
        let safety = Doorbell.safetyPoll
        let limit = Deadline(after: min(again ?? safety, safety))
        var events = [
            pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: inotify, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&events, nfds_t(events.count), limit.pollTimeout())
    }

    private func drain() {
        var events = [UInt8](repeating: 0, count: 4096)
        while read(inotify, &events, events.count) > 0 {}
    }
}

/// The bytes of one attempt's log from where they were read last.
struct LogTail {
    private let path: String
    private let index: String
    private let streams: LogStreams
    private let attempt: Int
    private var offset = 0
    private var indexOffset = 0
    /// The current record, and how many of its bytes were not shown yet.
    private var record: LogIndex?
    private var left = 0
    /// A stream's text so far ends in the middle of a character.
    private var characters: [UInt32: CharacterPieces] = [:]
    private var lastRecords: [UInt32: LogIndex] = [:]

    init(_ files: StoreFiles, _ id: Int64, attempt: Int, streams: LogStreams) {
        path = files.log(id, attempt: attempt)
        index = files.logIndex(id, attempt: attempt)
        self.streams = streams
        self.attempt = attempt
    }

    /// Shows all that is there now. A missing log is one without output.
    mutating func copy(to screen: Screen, asJSON: Bool) throws(SpoolError) {
        guard !asJSON else { return try copyJSON(to: screen) }
        while let piece = next() {
            let isRaw = !screen.escapesLogs
            try LogFile.show(isRaw ? piece : whole(piece, LogTail.unnamed), on: screen)
            try screen.flush()
        }
    }

    /// One object for each piece, as it came.
    private mutating func copyJSON(to screen: Screen) throws(SpoolError) {
        while let bytes = nextOfRecords(), let record {
            lastRecords[record.stream] = record
            let text = whole(bytes, record.stream)
            if !text.isEmpty { try screen.line(json(text, record)) }
        }
    }

    /// Shows what was kept for the rest of a character that did not come.
    mutating func finish(on screen: Screen, asJSON: Bool) throws(SpoolError) {
        guard asJSON else {
            return try LogFile.show(characters[LogTail.unnamed]?.end() ?? [], on: screen)
        }
        for (stream, record) in lastRecords.sorted(by: { $0.key < $1.key }) {
            let text = characters[stream]?.end() ?? []
            if !text.isEmpty { try screen.line(json(text, record)) }
        }
    }

    /// Both streams, as they stand in the log.
    private static let unnamed: UInt32 = 0

    private mutating func whole(_ piece: [UInt8], _ stream: UInt32) -> [UInt8] {
        characters[stream, default: CharacterPieces()].add(piece)
    }

    private func json(_ text: [UInt8], _ record: LogIndex) -> JSONObject {
        var object = JSONObject()
        object.set("time", record.time)
        object.set("stream", record.stream == LogIndex.standardError ? "stderr" : "stdout")
        object.set("attempt", attempt)
        object.set("text", String(decoding: text, as: UTF8.self))
        object.set("v", 1)
        return object
    }

    /// The next bytes to show; nil when there are no more for now.
    mutating func next() -> [UInt8]? {
        switch streams {
        case .both: return piece(atMost: LogFile.piece)
        case .errorOnly: return nextOfRecords()
        }
    }

    private mutating func nextOfRecords() -> [UInt8]? {
        while left > 0 || nextRecord() {
            // A record is what anybody may have written: its length is no reason to ask for memory.
            if let piece = piece(atMost: min(left, LogFile.piece)) {
                left -= piece.count
                return piece
            }
            offset += left
            left = 0
        }
        return nil
    }

    private mutating func piece(atMost limit: Int) -> [UInt8]? {
        let bytes = LogFile.read(path, from: offset, atMost: limit)
        offset += bytes.count
        return bytes.isEmpty ? nil : bytes
    }

    /// Steps to the next record; `left` is how much of it is to be shown.
    private mutating func nextRecord() -> Bool {
        let bytes = LogFile.read(index, from: indexOffset, atMost: LogIndex.size)
        guard let record = LogIndex(bytes) else { return false }
        indexOffset += LogIndex.size
        if record.stream == LogIndex.standardError || streams == .both {
            (left, self.record) = (record.length, record)
        } else {
            offset += record.length
        }
        return true
    }
}

/// One record of a log's index, 16 bytes little endian: microseconds since 1970, length, stream.
struct LogIndex {
    static let size = 16
    static let standardError: UInt32 = 2

    let time: UnixTime
    let length: Int
    let stream: UInt32

    /// Nil for less than a whole record.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= LogIndex.size else { return nil }
        time = UnixTime(microseconds: Int64(truncatingIfNeeded: LogIndex.number(bytes[0..<8])))
        length = Int(LogIndex.number(bytes[8..<12]))
        stream = UInt32(LogIndex.number(bytes[12..<16]))
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

enum LogFile {
    static let piece = 64 << 10

    /// Some bytes from an offset; none at the end, or when there is no such file.
    static func read(_ path: String, from offset: Int, atMost limit: Int) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, limit, offset))
        }
    }

    /// Nil when there is no such file.
    static func size(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Raw to a pipe or file, escaped on a terminal.
    static func show(_ bytes: [UInt8], on screen: Screen) throws(SpoolError) {
        guard screen.escapesLogs else { return try screen.write(bytes) }
        try screen.write(Array(Escaping.output(bytes).utf8))
    }

    /// Shows the last lines, in pieces: one of them may be the whole log.
    static func showLast(
        _ lines: Int, of path: String, on screen: Screen
    ) throws(SpoolError) {
        guard let size = size(path) else { return }
        var at = startOfLast(lines, of: path, in: 0..<size)
        var characters = CharacterPieces()
        while at < size {
            let bytes = read(path, from: at, atMost: min(piece, size - at))
            guard !bytes.isEmpty else { break }
            at += bytes.count
            try show(screen.escapesLogs ? characters.add(bytes) : bytes, on: screen)
        }
        try show(characters.end(), on: screen)
    }

    /// The last lines, as far as they stand in the last bytes of the log.
    static func lastLines(_ path: String, _ lines: Int, atMost limit: Int = .max) -> [UInt8] {
        guard let size = size(path) else { return [] }
        let start = startOfLast(lines, of: path, in: max(0, size - limit)..<size)
        return read(path, from: start, atMost: size - start)
    }

    /// Searched from the end: a log of gigabytes costs a few pages.
    private static func startOfLast(_ lines: Int, of path: String, in range: Range<Int>) -> Int {
        guard lines > 0 else { return range.upperBound }
        var left = lines
        var start = range.upperBound
        while start > range.lowerBound {
            let length = min(piece, start - range.lowerBound)
            start -= length
            let bytes = read(path, from: start, atMost: length)
            // What ends the log ends its last line, and begins none.
            let isLast = start + length == range.upperBound
            var rest = bytes[..<max(0, bytes.count - (isLast ? 1 : 0))]
            while let end = rest.lastIndex(of: 0x0A) {
                left -= 1
                if left == 0 { return start + end + 1 }
                rest = rest[..<end]
            }
        }
        return range.lowerBound
    }
}
