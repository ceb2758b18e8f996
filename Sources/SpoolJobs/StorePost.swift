// StorePost.swift - one transaction for the puts of several processes: see Board.

internal import SpoolThreads

extension Store {
    /// Who puts jobs that were checked.
    enum Putting {
        /// Another process did, with these ids.
        case elsewhere(ClosedRange<Int64>, Unsynced)
        /// The caller must, with the next commit; it may have entered the gate already.
        case here(isInside: Bool)
    }

    /// Whether another process may be in the gate, which could put jobs of ours.
    var meetsOthers: Bool {
        get throws(SpoolError) {
            guard gate != nil, !isWriting else { return false }
            return try shared().board.isLed
        }
    }

    /// Lets another process put jobs, if one is in the gate.
    /// - Throws: `outcomeUnknown` when that one cannot tell, or does not in time; `locked` when it does not take them.
    func post(_ jobs: [NewJob], now: UnixTime) throws(SpoolError) -> Putting {
        guard let gate, try meetsOthers else { return .here(isInside: false) }
        checkProcess()
        let (ledger, board) = try shared()
        // Who has a seat got it in the gate, where a log in doubt is written again: its own sync hears of each failure.
        guard board.post(jobs, now: now) else { return .here(isInside: false) }
        var (limit, isTaken) = (Gate.limit, false)
        while true {
            let seen = board.timesCalled
            switch board.fate() {
            case .committed(let first, let number):
                guard let log = connection.log else { throw unknownPut("the log is not open") }
                guard first > 0, first <= Int64.max - Int64(jobs.count) else {
                    throw unknownPut("their ids were overwritten in memory")
                }
                let ids = first...(first + Int64(jobs.count) - 1)
                return .elsewhere(
                    ids, Unsynced(number, log, ledger, files.database, "putting jobs"))
            case .refused: return .here(isInside: false)
            case .unknown: throw unknownPut("the process that put them could not tell")
            case .waiting:
                if gate.tryEnter() {
                    guard try leads() else {
                        leave(gate, board)
                        continue
                    }
                    // If others stand at another gate by now the commit has to go there.
                    let isInside = gate.isInPlace
                    if !isInside { gate.leave() }
                    return .here(isInside: isInside)
                }
                if limit.isPast {
                    try giveUp(board, wasTaken: isTaken)
                    (limit, isTaken) = (Gate.limit, true)
                }
                board.awaitCall(after: seen)
            }
        }
    }

    /// The time is over. Jobs that were taken may be put any moment: the first time they are waited for once more.
    private func giveUp(_ board: Board, wasTaken: Bool) throws(SpoolError) {
        if board.takeBack() { throw .locked(path: files.database) }
        if wasTaken, board.abandon() { throw unknownPut("the process that puts them stands still") }
    }

    private func unknownPut(_ detail: String) -> SpoolError {
        .outcomeUnknown(path: files.database, doing: "putting jobs", detail: detail)
    }

    /// In the gate: whether what was posted is ours to put. If not it has its fate.
    func leads() throws(SpoolError) -> Bool {
        let (_, board) = try shared()
        do throws(SpoolError) {
            try finishBatch()
        } catch {
            // What failed were others' jobs then.
            if board.hasFate { return false }
            let isTaken = !board.isWaiting
            board.withdraw()
            if let gate { leave(gate, board) }
            throw isTaken ? unknownPut(error.reason) : error
        }
        guard board.isWaiting else { return false }
        board.withdraw()
        return true
    }

    /// In the gate: finds out about jobs that were taken by one that has died.
    func finishBatch() throws(SpoolError) {
        let (ledger, board) = try shared()
        guard board.isUnfinished else { return }
        // Of a file that was replaced the number of the last one says nothing, nor if others count elsewhere.
        try checkInPlace()
        guard gate?.isInPlace ?? true else { return board.endUnfinished(.unknown).call() }
        guard let begun = board.begun else { return board.endUnfinished(.waiting).call() }
        guard try lastBatch() >= begun else {
            try overwriteUnseen()
            return board.endUnfinished(.waiting).call()
        }
        board.endUnfinished(.committed(first: 0, number: ledger.commit())).call()
    }

    /// The pages of a commit that nobody has seen may stand in the log, whole: as when a COMMIT fails. Who is told from
    /// now on that his jobs were not put must not find them there after a power cut. A transaction that is open writes
    /// over them itself.
    private func overwriteUnseen() throws(SpoolError) {
        guard connection.isAutocommit else { return }
        let wasWriting = isWriting
        isWriting = true
        defer { isWriting = wasWriting }
        try takeBack()
    }

    private func lastBatch() throws(SpoolError) -> Int64 {
        let select = try statement("SELECT batch FROM spool")
        defer { select.reset() }
        return try select.step("committing") ? select.int(0) : 0
    }

    /// In a transaction: puts what other processes have posted, too, and what those post that are waited for.
    func putPosts(_ gathering: Board.Gathering? = nil) throws(SpoolError) {
        let (_, board) = try shared()
        try finishBatch()
        var batch: [Board.Post] = []
        var number: Int64?
        while gathering.map({ board.awaitPosts($0, after: batch.count) }) ?? board.hasPosts {
            let posts = board.take()
            guard !posts.isEmpty else { break }
            if number == nil { number = try nextBatch() }
            batch += try put(posts)
        }
        if let number { board.begin(number, batch) }
    }

    private func nextBatch() throws(SpoolError) -> Int64 {
        let update = try statement("UPDATE spool SET batch = batch + 1 RETURNING batch")
        defer { update.reset() }
        guard try update.step("committing") else {
            throw .storeCorrupt(path: files.database, detail: "the table spool is empty")
        }
        return update.int(0)
    }

    private func put(_ posts: [Board.Post]) throws(SpoolError) -> [Board.Post] {
        let now = posts.lazy.map(\.now).max() ?? .now()
        var first = try putValid(posts.flatMap(\.jobs), now: now).lowerBound
        return posts.map { post in
            var post = post
            post.first = first
            first += Int64(post.jobs.count)
            return post
        }
    }
}
