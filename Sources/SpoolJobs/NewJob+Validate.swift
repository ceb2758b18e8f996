// NewJob+Validate.swift - what a job may be: checked before anything is written.

public import SpoolThreads

extension NewJob {
    /// - Throws: `badInput` or `tooLarge`, with a sentence that names the field.
    public func validate() throws(SpoolError) {
        var known = CheckedNames()
        try validate(&known)
    }

    /// Names that were right in the job before: many jobs are mostly in one queue and of one kind.
    struct CheckedNames {
        fileprivate var queue: String?
        fileprivate var kind: String?
    }

    func validate(_ known: inout CheckedNames) throws(SpoolError) {
        if known.queue != queue {
            try NewJob.checkName(queue, "queue")
            known.queue = queue
        }
        if let name { try NewJob.checkLabel(name) }
        guard Job.priorities.contains(priority) else {
            throw .badInput("priority must be 0…4294967295; got \(priority).")
        }
        if let retries, !(0...1_000_000).contains(retries) {
            throw .badInput("retries must be 0…1000000; got \(retries).")
        }
        if let timeout, timeout <= .zero { throw .badInput("timeout must be longer than nothing.") }
        if let backoff, backoff.min < .zero || backoff.max < backoff.min {
            throw .badInput("backoff must go from a smaller to a larger duration, as in 15s..1h.")
        }
        let size = body.count
        guard size <= Job.maximumBytes else {
            throw .tooLarge(what: "the body", bytes: size, limit: Job.maximumBytes)
        }
        switch work {
        case .command(let words): try NewJob.checkWords(words)
        case .kind(let kind):
            if known.kind != kind {
                try NewJob.checkName(kind, "kind")
                known.kind = kind
            }
        }
    }

    private static func checkWords(_ words: [[UInt8]]) throws(SpoolError) {
        guard let first = words.first, !first.isEmpty else {
            throw .badInput("the command is empty.")
        }
        guard !words.contains(where: { $0.contains(0) }) else {
            throw .badInput(
                "a command's words cannot contain NUL bytes; give such data as the body.")
        }
        let size = words.reduce(0) { $0 + $1.count + 1 }
        guard size <= Job.maximumBytes else {
            throw .tooLarge(what: "the command", bytes: size, limit: Job.maximumBytes)
        }
    }

    /// Queues and kinds: what is plain in every shell, URL and table.
    public static func checkName(_ name: String, _ what: String) throws(SpoolError) {
        guard name.utf8.allSatisfy(isPlain), (1...Job.maximumNameBytes).contains(name.utf8.count)
        else {
            throw .badInput(
                "a \(what) name has 1…\(Job.maximumNameBytes) letters, digits or -_.:/+@; got '\(name)'."
            )
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "-")...UInt8(ascii: ":"),  // - . / 0...9 :
            UInt8(ascii: "@"), UInt8(ascii: "_"), UInt8(ascii: "+"):
            true
        default: false
        }
    }

    private static func checkLabel(_ name: String) throws(SpoolError) {
        guard (1...1024).contains(name.utf8.count) else {
            throw .badInput("a job's name has 1…1024 bytes; got \(name.utf8.count).")
        }
    }
}

extension Body {
    /// How many bytes it has.
    public var count: Int {
        switch self {
        case .none: 0
        case .json(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        }
    }
}
