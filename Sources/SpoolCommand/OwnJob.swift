// OwnJob.swift - the job that this command runs in, if it runs in one: what it must not wait for.
//
// A job that waits for itself, or for one that only its own consumer could run, waits for ever, and so do all that
// stand behind it. That is said at once instead.

private import Glibc
internal import SpoolJobs
internal import SpoolThreads

/// A running job of a store, of which this process is a part.
struct OwnJob {
    let id: Int64
    private let queue: String
    private let worker: WorkerRow

    /// Nil: this process is in no job of this store, or in what a job has left behind. The environment alone would not
    /// do: who is told of another file has it, too.
    init?(of store: Store) {
        guard let id = Environment.text("SPOOL_JOB_ID").flatMap({ Int64($0) }),
            let attempt = Environment.text("SPOOL_ATTEMPT").flatMap({ Int($0) }),
            let row = try? store.job(id, bodyLimit: 0), row.state == .running,
            row.attempt == attempt,
            let workers = try? store.workers()
        else { return nil }
        let ancestors = OwnJob.ancestors()
        guard
            let worker = workers.first(where: {
                $0.name == row.worker && ancestors.contains($0.pid)
            })
        else { return nil }
        (self.id, queue, self.worker) = (id, row.queue, worker)
    }

    private static func ancestors() -> Set<Int32> {
        var found: Set<Int32> = []
        var next: Int32? = getppid()
        while let process = next, process > 0, found.insert(process).inserted {
            next = parent(of: process)
        }
        return found
    }

    private static func parent(of process: Int32) -> Int32? {
        let path = "/proc/\(process)/status"
        guard let bytes = try? Descriptor.readAll(path, what: path, limit: 1 << 20) else {
            return nil
        }
        let name = "PPid:\t"
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix(name) }.flatMap { Int32($0.dropFirst(name.utf8.count)) }
    }

    /// Before a job is put that this process would wait for.
    /// - Throws: `badInput` when nobody but this job's only consumer takes such jobs.
    func check(waitingFor job: NewJob, in store: Store) throws(SpoolError) {
        let watching = try store.workers().filter {
            Watching.isWatching($0, job.queue, kind: job.work.kind)
        }
        let isAlone =
            !watching.isEmpty
            && watching.allSatisfy { worker in
                worker.owner == self.worker.owner && worker.consumers == 1
            }
        guard isAlone else { return }
        throw .badInput(
            "this is job \(id), and its worker's only consumer, which has it, is the only one that "
                + "takes from '\(job.queue)': to wait for another job would never end. Nothing was put.",
            hint: "Put it without waiting (spool put, spool run -d), or let the worker run more "
                + "jobs at once (spool work -j 2).")
    }

    /// - Throws: `badInput` when a join would wait for this job.
    func check(joining target: JoinTarget) throws(SpoolError) {
        let includesIt =
            switch target {
            case .all: true
            case .queue(let name): name == queue
            case .upTo(let name, let last): (name == nil || name == queue) && id <= last
            case .jobs(let ids): ids.contains(id)
            }
        guard includesIt else { return }
        throw .badInput(
            "this is job \(id), and join would wait for it, too: that would never end.",
            hint: "Name the jobs to wait for:  spool join ID...")
    }
}
