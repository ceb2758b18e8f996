// JobText.swift - a job on the screen and in JSON: the same words everywhere.

internal import SpoolJobs
internal import SpoolThreads

enum JobText {
    /// Never colour alone: a symbol and the word.
    static func state(_ state: State) -> Cell {
        switch state {
        case .running: Cell("▶ running", .green)
        case .retrying: Cell("↻ retrying", .yellow)
        case .ready: Cell("· ready")
        case .scheduled: Cell("◷ scheduled", .cyan)
        case .dead: Cell("✖ dead", .red)
        case .cancelled: Cell("⊘ cancelled", .dim)
        case .done: Cell("✔ done", .dim)
        }
    }

    /// "3/5": attempts so far and those allowed.
    static func tries(_ row: JobRow) -> String {
        row.attempt == 0 ? "–" : "\(row.attempt)/\(max(row.attempt, row.retries + 1))"
    }

    static func took(_ row: JobRow, now: UnixTime) -> String {
        if let due = row.due, row.state == .scheduled || row.state == .retrying {
            return due > now ? "in " + Phrases.long(Phrases.until(due - now)) : "now"
        }
        guard let started = row.started else { return "–" }
        if row.state == .running { return Phrases.short(now - started) }
        return row.finished.map { Phrases.short($0 - started) } ?? "–"
    }

    /// So many bytes of a job's arguments stand in a table, in a pipe too.
    static let shownOfArguments = 1024

    /// What it does, on one line: label, command or kind with its arguments, last error.
    static func summary(_ row: JobRow) -> String {
        var parts: [String] = []
        if let name = row.name { parts.append("[\(name)]") }
        parts.append(row.command ?? row.kind ?? "")
        if row.command == nil, case .json(let text) = row.body {
            parts.append(arguments(text, isCut: row.bodySize > row.body.count))
        }
        if let error = row.error { parts.append(" " + error) }
        return Escaping.line(parts.joined(separator: "  "))
    }

    /// `to=a@b n=3` for an object, else the JSON itself.
    /// - Parameter isCut: It is only the beginning: so much of it is shown as can be read.
    static func arguments(_ json: String, isCut: Bool = false) -> String {
        var reader = JSONReader(Array(json.utf8))
        var pairs: [String] = []
        do throws(SpoolError) {
            try reader.readObject { (key, reader) throws(SpoolError) in
                if reader.peek() == UInt8(ascii: "\"") {
                    pairs.append(key + "=" + (try reader.readString()))
                } else {
                    let value = try reader.skipValue()
                    pairs.append(
                        key + "=" + String(decoding: reader.bytes[value], as: UTF8.self))
                }
            }
        } catch {
            // A list, a number, or what somebody wrote by hand.
            guard isCut else { return json }
            return (pairs.isEmpty ? json : pairs.joined(separator: " ") + " ") + "…"
        }
        return pairs.joined(separator: " ")
    }

    static func json(_ row: JobRow) -> JSONObject {
        var object = JSONObject()
        object.set("id", row.id)
        object.set("state", row.state.rawValue)
        object.set("queue", row.queue)
        object.set("kind", row.kind)
        object.set("name", row.name)
        if let command = row.command {
            let words = Words.parse(Array(command.utf8))
            object.set("command", words.map { String(decoding: $0, as: UTF8.self) })
        }
        object.set("priority", row.priority)
        object.set("attempt", row.attempt)
        object.set("failures", row.failures)
        object.set("max_attempts", row.retries + 1)
        setBody(row.body, in: &object)
        object.set("put_at", row.putAt)
        object.set("due_at", row.due)
        object.set("started_at", row.started)
        object.set("finished_at", row.finished)
        object.set("took_ms", row.finished.flatMap { end in row.started.map { end - $0 } })
        object.set("exit", row.exit)
        object.set("signal", row.signal)
        object.set("error", row.error)
        object.set("worker", row.worker)
        return object
    }

    /// JSON arguments as JSON, text as text, other bytes in base 64.
    private static func setBody(_ body: Body, in object: inout JSONObject) {
        switch body {
        case .none: break
        case .json(let text):
            do throws(SpoolError) {
                object.set("args", json: try JSONReader.compact(Array(text.utf8)))
            } catch {
                object.set("body", text)  // written by hand in the sqlite3 shell
            }
        case .bytes(let bytes):
            if let text = String(validating: bytes, as: UTF8.self) {
                object.set("body", text)
            } else {
                object.set("body_base64", Base64.encode(bytes))
            }
        }
    }

    /// "1 running · 1 200 ready · 812 done"; states without jobs are left out.
    static func counts(_ counts: Counts) -> [String] {
        let all: [(Int, String)] = [
            (counts.running, "running"), (counts.retrying, "retrying"), (counts.ready, "ready"),
            (counts.scheduled, "scheduled"), (counts.dead, "dead"),
            (counts.cancelled, "cancelled"), (counts.done, "done"),
        ]
        return all.filter { $0.0 > 0 }.map { Phrases.grouped($0.0) + " " + $0.1 }
    }

    static func json(_ counts: Counts, into object: inout JSONObject) {
        object.set("ready", counts.ready)
        object.set("scheduled", counts.scheduled)
        object.set("retrying", counts.retrying)
        object.set("running", counts.running)
        object.set("done", counts.done)
        object.set("dead", counts.dead)
        object.set("cancelled", counts.cancelled)
    }
}
