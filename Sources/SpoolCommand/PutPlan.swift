// PutPlan.swift - from the words of `put` to the jobs that it puts: what each option means, checked.

private import Glibc
internal import SpoolJobs
internal import SpoolThreads

/// Everything that the jobs of one `put` share, and what makes them.
struct PutPlan {
    /// The job that the options describe; its work is replaced for each line of --each.
    var model: NewJob
    var source: Source

    enum Source {
        case one
        case lines(PutTemplate, terminator: UInt8)
        case ndjson(path: String, skipsBadLines: Bool)
    }

    init(_ arguments: PutArguments, now: UnixTime) throws(SpoolError) {
        try PutPlan.checkCombinations(arguments)
        let queue = try Settings.queue(arguments.text(.queue))
        let isNDJSON = arguments.has(.ndjson)
        if isNDJSON {
            // Each line says what it does; this only carries the defaults.
            model = NewJob(.kind(Job.noop), queue: queue)
        } else {
            let each = arguments.has(.each)
            model = try PutPlan.job(arguments, queue: queue, isModel: each)
        }
        try PutPlan.apply(arguments, to: &model, now: now)
        if isNDJSON || !arguments.has(.kind), !PutPlan.isBodyAlone(arguments) {
            model.place = try Places.current(arguments)
        }
        if let path = try arguments.text(.ndjson) {
            source = .ndjson(path: path, skipsBadLines: arguments.has(.proceed))
        } else if arguments.has(.each) {
            source = .lines(
                try PutTemplate(arguments), terminator: arguments.has(.null) ? 0 : 0x0A)
        } else {
            try CommandLimits.check(model)
            source = .one
        }
    }

    private static func isBodyAlone(_ arguments: PutArguments) -> Bool {
        arguments.has(.body) && arguments.words.isEmpty && !arguments.has(.shell)
            && !arguments.has(.kind)
    }

    /// What the job does. A body alone is a typed job whose kind is its queue's name, as a tube is in beanstalkd.
    private static func job(
        _ arguments: PutArguments, queue: String, isModel: Bool
    ) throws(SpoolError) -> NewJob {
        var job: NewJob
        if let text = arguments.values[.shell] {
            job = NewJob(.command([Array("sh".utf8), Array("-c".utf8), text]), queue: queue)
        } else if let kind = try arguments.text(.kind) {
            job = NewJob(.kind(try Numbers.name(kind, what: "kind")), queue: queue)
            if let json = arguments.words.first {
                job.body = .json(try checkedJSON(json, kind: kind))
            }
        } else if !arguments.words.isEmpty {
            job = NewJob(.command(arguments.words), queue: queue)
        } else if isBodyAlone(arguments) {
            job = NewJob(.kind(queue), queue: queue)
        } else {
            throw .usage("no command given.", hint: "Try:  spool put -- echo hello")
        }
        if let body = arguments.values[.body] { job.body = .bytes(try bodyBytes(body)) }
        guard arguments.words.first.map({ !$0.isEmpty }) ?? true else {
            throw .usage("the command is empty.", hint: "Try:  spool put -- echo hello")
        }
        return job
    }

    static func checkedJSON(_ bytes: [UInt8], kind: String) throws(SpoolError) -> String {
        guard bytes.count <= Job.maximumBytes else {
            throw .tooLarge(
                what: "the arguments of \(kind)", bytes: bytes.count, limit: Job.maximumBytes)
        }
        do throws(SpoolError) {
            try JSONReader.check(bytes)
        } catch {
            throw .badInput("the arguments of \(kind) are not JSON: \(error.message)")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// TEXT, @FILE, or stdin for - and @-.
    private static func bodyBytes(_ value: [UInt8]) throws(SpoolError) -> [UInt8] {
        if isStandardInput(value) { return try fileBytes("-") }
        guard value.first == UInt8(ascii: "@") else {
            guard value.count <= Job.maximumBytes else {
                throw .tooLarge(what: "the body", bytes: value.count, limit: Job.maximumBytes)
            }
            return value
        }
        guard let path = String(validating: value.dropFirst(), as: UTF8.self) else {
            throw .usage("the file's name after --body @ must be UTF-8 text.")
        }
        return try fileBytes(path)
    }

    private static func isStandardInput(_ value: [UInt8]) -> Bool {
        value == Array("-".utf8) || value == Array("@-".utf8)
    }

    private static func fileBytes(_ path: String) throws(SpoolError) -> [UInt8] {
        try Descriptor.readAll(path, what: "the body", limit: Job.maximumBytes)
    }

    private static func apply(
        _ arguments: PutArguments, to job: inout NewJob, now: UnixTime
    ) throws(SpoolError) {
        if let name = try arguments.text(.name) { job.name = try Numbers.label(name) }
        if let text = try arguments.text(.priority) { job.priority = try Numbers.priority(text) }
        if let text = try arguments.text(.delay) {
            job.due = now + (try Durations.parse(text, option: "--delay"))
        }
        if let text = try arguments.text(.at) {
            job.due = try Times.parse(text, option: "--at", now: now)
        }
        if let text = try arguments.text(.retries) { job.retries = try Numbers.retries(text) }
        if let text = try arguments.text(.backoff) {
            job.backoff = try Durations.parseBackoff(text, option: "--backoff")
        }
        if let text = try arguments.text(.timeout) {
            job.timeout = try timeout(text, option: "--timeout")
        }
    }

    static func timeout(_ text: String, option: String) throws(SpoolError) -> Duration {
        let timeout = try Durations.parse(text, option: option)
        guard timeout > .zero else { throw .usage("\(option) must be more than nothing.") }
        return timeout
    }

    /// A typed job runs where its worker stands.
    private static func checkPlace(_ arguments: PutArguments) throws(SpoolError) {
        guard arguments.has(.kind) || isBodyAlone(arguments), !arguments.has(.ndjson) else {
            return
        }
        let options: [PutOption] = [.cwd, .env, .cleanEnvironment, .limit]
        guard let option = options.first(where: { arguments.has($0) }) else { return }
        throw .usage(
            "\(option.shown) belongs to a command; a typed job runs where its worker stands.")
    }

    private static func checkCombinations(_ arguments: PutArguments) throws(SpoolError) {
        let pairs: [(PutOption, PutOption)] = [
            (.delay, .at), (.shell, .kind), (.ndjson, .each), (.ndjson, .shell), (.ndjson, .kind),
            (.ndjson, .body), (.ndjson, .wait), (.each, .wait),
        ]
        for (one, other) in pairs where arguments.has(one) && arguments.has(other) {
            throw .usage("\(one.shown) and \(other.shown) exclude each other.")
        }
        if arguments.has(.each), let body = arguments.values[.body], isStandardInput(body) {
            let name = String(decoding: body, as: UTF8.self)
            throw .usage("--each and --body \(name) both read stdin.")
        }
        if arguments.has(.null), !arguments.has(.each) { throw .usage("-0 belongs to --each.") }
        if arguments.has(.proceed), !arguments.has(.ndjson) {
            throw .usage("--continue belongs to --ndjson.")
        }
        if arguments.has(.ndjson) || arguments.has(.shell), let word = arguments.words.first {
            let option: PutOption = arguments.has(.ndjson) ? .ndjson : .shell
            throw .usage(
                "\(option.shown) takes no command beside it; got "
                    + "'\(String(decoding: word, as: UTF8.self))'.")
        }
        try checkPlace(arguments)
        guard arguments.has(.kind) else { return }
        if arguments.words.count > 1 {
            throw .usage(
                "-k takes one word of JSON after the kind; got \(arguments.words.count).",
                hint: "Quote it:  spool put -k mail.send '{\"to\":\"a@b\"}'")
        }
        if !arguments.words.isEmpty, arguments.has(.body) {
            throw .usage("a typed job has JSON arguments or a --body, not both.")
        }
        if arguments.has(.each), !arguments.words.isEmpty || arguments.has(.body) {
            throw .usage("with --each every line of stdin is the JSON of one -k job.")
        }
    }
}
