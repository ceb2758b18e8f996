// NDJSON.swift - jobs as lines of JSON: the keys are the long options' names, and `command` and `args`.
//
//   {"queue":"mail","kind":"mail.send","args":{"to":"a@b"},"delay":"10m"}
//   {"command":["convert","a.tif","a.png"],"priority":"low","env":{"LANG":"C"}}

internal import SpoolJobs
private import SpoolProcesses
internal import SpoolThreads

/// Reads one line after the other into jobs; what a line does not say comes from the options of `put`.
struct NDJSON: Sendable {
    /// The keys of a line; each case is its word.
    enum Key: Int, CaseIterable {
        case queue, kind, args, body, command, priority, delay, at, retries, backoff, timeout
        case name, env, cwd, limit
        case bodyBase64

        static let words = allCases.map { $0 == .bodyBase64 ? "body_base64" : "\($0)" }
        var word: String { Key.words[rawValue] }

        init?(word: String) {
            guard let place = Key.words.firstIndex(of: word) else { return nil }
            self.init(rawValue: place)
        }
    }

    private let model: NewJob
    private let now: UnixTime
    private let variables: [[UInt8]]

    init(model: NewJob, now: UnixTime) {
        self.model = model
        self.now = now
        variables = model.place.map { Places.split($0.environment) } ?? []
    }

    /// The job of a line; nil for a blank one.
    /// - Throws: `.badInput` that names what is wrong, without the place of the line.
    func job(_ bytes: [UInt8], _ line: Range<Int>) throws(SpoolError) -> NewJob? {
        var reader = JSONReader(bytes, line)
        guard reader.peek() != nil else { return nil }
        var draft = Draft(model)
        try reader.readObject { (name, reader) throws(SpoolError) in
            guard let key = Key(word: name) else { throw NDJSON.unknown(name) }
            guard draft.named.insert(KeySet(key)).inserted else {
                throw .badInput("\"\(name)\" stands there twice.")
            }
            // As if it were not there: who writes all of a record's fields leaves none out.
            guard try !reader.isNull() else { return }
            draft.said.insert(KeySet(key))
            try read(key, &reader, into: &draft)
        }
        try reader.finish()
        return try finish(draft)
    }

    /// Keys as bits of a word: a set that costs nothing.
    private struct KeySet: OptionSet {
        let rawValue: UInt32

        init(rawValue: UInt32) { self.rawValue = rawValue }

        init(_ keys: Key...) { rawValue = keys.reduce(0) { $0 | 1 << UInt32($1.rawValue) } }
    }

    private struct Draft {
        var job: NewJob
        var kind: String?
        var command: [[UInt8]]?
        var json: String?
        var body: [UInt8]?
        var cwd: String?
        var limits: ResourceLimits?
        var variables: [(name: String, value: String)] = []
        var named: KeySet = []
        /// Those with a value.
        var said: KeySet = []

        init(_ model: NewJob) { job = model }
    }

    private static func unknown(_ name: String) -> SpoolError {
        let near = Suggestion.nearest(to: name, among: Key.words)
        return .badInput(
            "unknown key \"\(name)\"" + (near.map { " (did you mean \"\($0)\"?)" } ?? "") + ".")
    }

    private func read(
        _ key: Key, _ reader: inout JSONReader, into draft: inout Draft
    ) throws(SpoolError) {
        switch key {
        case .queue: draft.job.queue = try Numbers.name(text(key, &reader), what: "queue")
        case .kind: draft.kind = try Numbers.name(text(key, &reader), what: "kind")
        case .args:
            let range = try reader.skipValue()
            draft.json = String(decoding: reader.bytes[range], as: UTF8.self)
        case .body: draft.body = Array(try text(key, &reader).utf8)
        case .bodyBase64: draft.body = try bytes(key, &reader)
        case .command: draft.command = try words(&reader)
        case .priority:
            draft.job.priority = try Numbers.priority(
                textOrNumber(key, &reader), option: "\"priority\"")
        case .delay:
            draft.job.due = now + (try Durations.parse(text(key, &reader), option: "\"delay\""))
        case .at: draft.job.due = try Times.parse(text(key, &reader), option: "\"at\"", now: now)
        case .retries:
            draft.job.retries = try Numbers.retries(
                textOrNumber(key, &reader), option: "\"retries\"")
        case .backoff:
            draft.job.backoff = try Durations.parseBackoff(
                text(key, &reader), option: "\"backoff\"")
        case .timeout:
            draft.job.timeout = try PutPlan.timeout(text(key, &reader), option: "\"timeout\"")
        case .name: draft.job.name = try Numbers.label(text(key, &reader), option: "\"name\"")
        case .env: draft.variables = try variables(&reader)
        case .cwd: draft.cwd = try text(key, &reader)
        case .limit: draft.limits = try Limits.parse(text(key, &reader), option: "\"limit\"")
        }
    }

    private func text(_ key: Key, _ reader: inout JSONReader) throws(SpoolError) -> String {
        guard reader.peek() == UInt8(ascii: "\"") else {
            throw .badInput("\"\(key.word)\" must be a string.")
        }
        return try reader.readString()
    }

    /// A body that is no text, as `list --json` writes it.
    private func bytes(_ key: Key, _ reader: inout JSONReader) throws(SpoolError) -> [UInt8] {
        guard let bytes = Base64.decode(try text(key, &reader)) else {
            throw .badInput("\"\(key.word)\" must be base 64, with its padding.")
        }
        return bytes
    }

    private func textOrNumber(
        _ key: Key, _ reader: inout JSONReader
    ) throws(SpoolError) -> String {
        if reader.peek() == UInt8(ascii: "\"") { return try reader.readString() }
        let range = try reader.skipValue()
        return String(decoding: reader.bytes[range], as: UTF8.self)
    }

    private func words(_ reader: inout JSONReader) throws(SpoolError) -> [[UInt8]] {
        let wrong = SpoolError.badInput("\"command\" must be an array of strings.")
        guard reader.peek() == UInt8(ascii: "[") else { throw wrong }
        var words: [[UInt8]] = []
        try reader.readArray { (reader) throws(SpoolError) in
            guard reader.peek() == UInt8(ascii: "\"") else { throw wrong }
            words.append(Array(try reader.readString().utf8))
        }
        return words
    }

    private func variables(
        _ reader: inout JSONReader
    ) throws(SpoolError) -> [(name: String, value: String)] {
        let wrong = SpoolError.badInput("\"env\" must be an object of strings.")
        guard reader.peek() == UInt8(ascii: "{") else { throw wrong }
        var variables: [(name: String, value: String)] = []
        try reader.readObject { (name, reader) throws(SpoolError) in
            guard reader.peek() == UInt8(ascii: "\"") else { throw wrong }
            let value = try reader.readString()
            guard !name.isEmpty, !name.utf8.contains(where: { $0 == 0 || $0 == 0x3D }),
                !value.utf8.contains(0)
            else { throw .badInput("\"env\": a name has no '=', and neither has a NUL.") }
            variables.append((name, value))
        }
        return variables
    }

    private func finish(_ draft: Draft) throws(SpoolError) -> NewJob {
        var job = draft.job
        if draft.said.isSuperset(of: KeySet(.delay, .at)) {
            throw .badInput("\"delay\" and \"at\" exclude each other.")
        }
        switch (draft.command, draft.kind) {
        case (_?, _?): throw .badInput("\"command\" and \"kind\" exclude each other.")
        case (nil, nil): throw .badInput("neither \"command\" nor \"kind\" is there.")
        case (let command?, nil):
            guard draft.json == nil else { throw .badInput("\"args\" belongs to a \"kind\".") }
            job.work = .command(command)
            try setPlace(&job, draft)
        case (nil, let kind?):
            guard draft.cwd == nil, draft.variables.isEmpty, draft.limits == nil else {
                throw .badInput("\"cwd\", \"env\" and \"limit\" belong to a \"command\".")
            }
            job.work = .kind(kind)
            job.place = nil
        }
        let contents: [Key] = [.args, .body, .bodyBase64].filter { draft.said.contains(KeySet($0)) }
        if contents.count > 1 {
            throw .badInput(
                "\"\(contents[0].word)\" and \"\(contents[1].word)\" exclude each other.")
        }
        if let json = draft.json { job.body = .json(json) }
        if let body = draft.body { job.body = .bytes(body) }
        try job.validate()
        try CommandLimits.check(job)
        return job
    }

    private func setPlace(_ job: inout NewJob, _ draft: Draft) throws(SpoolError) {
        if let cwd = draft.cwd {
            job.place?.directory = try Places.directory(Array(cwd.utf8), option: "\"cwd\"")
        }
        guard !draft.variables.isEmpty || draft.limits != nil else { return }
        var all = variables
        let added = draft.variables.map { Array("\($0.name)=\($0.value)".utf8) }
        try Places.set(all: added, in: &all)
        if let limits = draft.limits { try Places.set(limits, in: &all) }
        job.place?.environment = Places.joined(all)
    }
}
