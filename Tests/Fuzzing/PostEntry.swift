// PostEntry.swift - jobs as one process hands them to another one to put, in memory that both have mapped.

@testable private import SpoolJobs
@testable private import SpoolProcesses
internal import SpoolThreads

extension FuzzEntry {
    static let post = FuzzEntry("post", seeds: postSeeds) { bytes, _ in
        guard let job = try answer(to: bytes, { () throws(SpoolError) in try posted(bytes) }) else {
            return
        }
        let again = written(job)
        try demand(again.count <= 3 * bytes.count, "a job is larger than its bytes")
        let copy = try mustParse("\(job)") { () throws(SpoolError) in try posted(again) }
        try demand(copy == job, "\(job) came back as \(copy)")
    }

    private static func posted(_ bytes: [UInt8]) throws(SpoolError) -> NewJob {
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(SpoolError) in
                var payload = FramePayload(bytes)
                return try payload.newJob()
            }
        }.get()
    }

    private static func written(_ job: NewJob) -> [UInt8] {
        var writer = FrameWriter()
        writer.put(job)
        return writer.withBytes { Array($0) }
    }

    private static var postSeeds: [[UInt8]] {
        var job = NewJob(
            .command([Array("ls".utf8), []]), body: .bytes([0, 255]), queue: "mail", name: "n",
            priority: 7, due: readingTime, retries: 3,
            backoff: Backoff(min: .seconds(1), max: .seconds(9)), timeout: .seconds(2),
            place: Place(directory: [47], environment: Array("A=1\0".utf8)))
        let all = written(job)
        job.work = .kind("mail.send")
        job.body = .json("{}")
        return [
            all, written(job), written(NewJob(.kind("k"))), Array(all.prefix(30)),
            [UInt8](repeating: 0xFF, count: 40),
        ]
    }
}
