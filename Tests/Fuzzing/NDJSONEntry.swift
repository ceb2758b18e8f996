// NDJSONEntry.swift - jobs as lines of JSON: what was read is written as a line, and is read as the same job again.

@testable private import SpoolCommand
private import SpoolJobs
internal import SpoolThreads

extension FuzzEntry {
    static let ndjson = FuzzEntry(
        "ndjson",
        texts: [
            #"{"queue":"mail","kind":"mail.send","args":{"to":"a@b"},"delay":"10m"}"#,
            #"{"command":["convert","a.tif","a.png"],"priority":"low","env":{"LANG":"C"}}"#,
            #"{"command":["a\u0000b"]}"#,
            #"{"kind":"k","body":"x\u00ff","retries":3,"timeout":"1h"}"#,
            #"{"command":["ls"],"cwd":"/","at":"2027-11-25T09:00:00Z","backoff":"15s..1h"}"#,
            #"{"command":["ls"],"name":"n","priority":0,"retries":"2","env":{"A":"","B":"=x"}}"#,
            #"{"command":["ls"],"env":{"A":"2"},"limit":"memory=1G,cpu=1h,files=9,output=0"}"#,
            #" {"kind":"k","args":[1,2,{}],"queue":null} "#, #"{"knid":"k"}"#,
            #"{"command":["ls"],"cwd":"/\u0000tmp"}"#, "{\"kind\":\"a\"}\n\n{\"kind\":\"b\"}",
        ]
    ) { bytes, _ in
        let model = NewJob(
            .kind(Job.noop), priority: 7,
            place: Place(directory: [UInt8(ascii: "/")], environment: Array("A=1\0B=2\0".utf8)))
        let reader = NDJSON(model: model, now: readingTime)
        for line in bytes.lines {
            let job = try answer(to: bytes) { () throws(SpoolError) in
                try reader.job(bytes, line)
            }
            guard case let job?? = job else { continue }
            try check(job)
            let written = written(job)
            let again = try mustParse(written.text) { () throws(SpoolError) in
                try reader.job(written, 0..<written.count)
            }
            try demand(again == job, "\(job) is written \(written.text), which is \(again as Any)")
        }
    }

    private static func check(_ job: NewJob) throws {
        try mustParse("a job that was read") { () throws(SpoolError) in try job.validate() }
        if case .json(let text) = job.body {
            try mustParse("the arguments that were read") { () throws(SpoolError) in
                try JSONReader.check(Array(text.utf8))
            }
        }
        guard let place = job.place else { return }
        try demand(!place.directory.contains(0), "a directory with a NUL in it")
        for variable in Places.split(place.environment) {
            try demand(
                variable.contains(UInt8(ascii: "=")), "a variable without '=': \(variable.text)")
        }
    }

    private static func written(_ job: NewJob) -> [UInt8] {
        var line = JSONObject()
        line.set("queue", job.queue)
        line.set("name", job.name)
        line.set("priority", job.priority)
        line.set("retries", job.retries)
        line.set("timeout", job.timeout.map(typed))
        line.set("backoff", job.backoff.map { "\(typed($0.min))..\(typed($0.max))" })
        line.set("at", job.due.map(exactly))
        switch job.work {
        case .kind(let kind): line.set("kind", kind)
        case .command(let words): line.set("command", words.map(\.text))
        }
        switch job.body {
        case .none: break
        case .json(let text): line.set("args", json: Array(text.utf8))
        case .bytes(let bytes): line.set("body", bytes.text)
        }
        if let place = job.place {
            line.set("cwd", place.directory.text)
            var variables = JSONObject()
            for variable in Places.split(place.environment) {
                let parts = variable.split(separator: UInt8(ascii: "="), maxSplits: 1)
                variables.set(Array(parts[0]).text, parts.count > 1 ? Array(parts[1]).text : "")
            }
            line.set("env", variables)
        }
        return line.bytes
    }

    /// To the microsecond, as nobody types it.
    private static func typed(_ duration: Duration) -> String {
        let microseconds = duration.microseconds
        let milliseconds = microseconds % 1_000_000
        return "\(microseconds / 1_000_000)s\(milliseconds / 1000)"
            + ".\(String(1000 + milliseconds % 1000).dropFirst())ms"
    }
}

extension [UInt8] {
    fileprivate var lines: [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        for (index, byte) in enumerated() where byte == 0x0A {
            lines.append(start..<index)
            start = index + 1
        }
        return lines + [start..<count]
    }
}
