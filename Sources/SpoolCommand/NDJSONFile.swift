// NDJSONFile.swift - a file of NDJSON into jobs: one thread reads, and two make jobs of what it has read.
//
// Reading JSON costs as much as putting what it says. A file that fits into one piece is read without other threads.

internal import SpoolJobs
internal import SpoolQueues
internal import SpoolThreads

/// Reads the lines of a file, or of standard input, into jobs.
struct NDJSONFile {
    /// What is said before a place: "jobs.ndjson", "stdin".
    let source: String
    let format: NDJSON
    /// What is done with a line that is wrong. Nil: nothing is put.
    let skip: ((String) -> Void)?

    private static let threads = 2

    /// What a piece of the file says.
    private struct Part: Sendable {
        var jobs: [NewJob] = []
        /// Which lines of it are wrong, the first is 1, and why.
        var faults: [(line: Int, why: String)] = []
        var lines = 0
    }

    func jobs(from reader: LineReader) throws(SpoolError) -> [NewJob] {
        var reader = reader
        var jobs: [NewJob] = []
        var lines = 0
        guard let first = try reader.nextLines() else { return [] }
        guard let second = try reader.nextLines() else {
            try take(NDJSONFile.part(first, format, goesOn: skip != nil), &jobs, &lines)
            return jobs
        }
        let pool = ThreadPool(maxWorkers: NDJSONFile.threads)
        defer { pool.shutdown(cancelFutures: true) }
        var parts = [try submit(first, to: pool), try submit(second, to: pool)][...]
        while let piece = try reader.nextLines() {
            parts.append(try submit(piece, to: pool))
            // What is wrong is said soon, however long the file is.
            while let part = parts.first, part.done || parts.count > 4 * NDJSONFile.threads {
                try take(result(of: part), &jobs, &lines)
                parts.removeFirst()
            }
        }
        for part in parts { try take(result(of: part), &jobs, &lines) }
        return jobs
    }

    private func submit(
        _ piece: [UInt8], to pool: ThreadPool
    ) throws(SpoolError) -> Future<Part> {
        let (format, goesOn) = (format, skip != nil)
        return try pool.submit { NDJSONFile.part(piece, format, goesOn: goesOn) }
    }

    private func result(of part: Future<Part>) throws(SpoolError) -> Part {
        do {
            return try part.result()
        } catch let error as SpoolError {
            throw error
        } catch {
            preconditionFailure("a part throws nothing: \(error)")
        }
    }

    private static func part(_ piece: [UInt8], _ format: NDJSON, goesOn: Bool) -> Part {
        var part = Part()
        var at = 0
        while at < piece.count {
            let end = piece[at...].firstIndex(of: 0x0A) ?? piece.count
            part.lines += 1
            do throws(SpoolError) {
                if let job = try format.job(piece, at..<end) { part.jobs.append(job) }
            } catch {
                part.faults.append((part.lines, error.message))
                if !goesOn { break }
            }
            at = end + 1
        }
        return part
    }

    /// What the JSON of one line says of itself is "line 1".
    private func place(of line: Int, _ why: String) -> String {
        let own = "line 1 column"
        let isOfJSON = why.hasPrefix(own)
        return "\(source):\(line)" + (isOfJSON ? " column" + why.dropFirst(own.count) : ": " + why)
    }

    private func take(
        _ part: Part, _ jobs: inout [NewJob], _ lines: inout Int
    ) throws(SpoolError) {
        for fault in part.faults {
            let message = place(of: fault.line + lines, fault.why)
            guard let skip else { throw .badInput(message, hint: "Nothing was put.") }
            skip(message)
        }
        lines += part.lines
        if jobs.isEmpty { jobs = part.jobs } else { jobs += part.jobs }
    }
}
