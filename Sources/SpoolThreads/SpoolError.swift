// SpoolError.swift - everything that can go wrong, each with a sentence and, where there is one, a way out.
//
// The world's failures are thrown; a programmer's are preconditions. Front ends show message and hint, and map the
// case to their own code: the table of exit codes is here, because it is the contract of every program of Spool.

/// Why a call of Spool failed. The call changed nothing unless the case says otherwise.
public enum SpoolError: Error, Equatable, Sendable {
    // What the caller gave.
    case usage(String, hint: String? = nil)
    case badInput(String, hint: String? = nil)
    case tooLarge(what: String, bytes: Int, limit: Int)
    /// A file that the caller named for its content cannot be read.
    case noInput(path: String, reason: String)
    case noSuchJob(Int64, newest: Int64?)
    case noSuchQueue(String, nearest: String?)
    case wrongState(job: Int64, state: String, wanted: String, hint: String? = nil)
    // The file.
    case noStore(path: String)
    case notAStore(path: String, why: String)
    case storeTooNew(path: String, found: Int, known: Int)
    case storeCorrupt(path: String, detail: String)
    case readOnly(path: String)
    /// `owner` is whose it is; nil: the caller's own.
    case notPermitted(path: String, doing: String, owner: String?)
    case cannotCreate(path: String, why: String)
    case diskFull(path: String, doing: String)
    case inputOutput(path: String, doing: String, detail: String)
    case locked(path: String)
    /// The commit's fate is not known (an I/O error while it was synced): it may or may not have happened.
    case outcomeUnknown(path: String, doing: String, detail: String)
    /// It was done, as the text says, but nobody could be told so on standard output.
    case untold(String, detail: String)
    // The contract.
    case claimLost(job: Int64, attempt: Int)
    case taskDoneTooOften
    case empty
    case full
    case shutDown
    /// What was used is closed, or was closed meanwhile; the text names it.
    case closed(String)
    /// Nothing can come any more: whoever held the other end of a connection has closed it, or died.
    case endOfFile
    case timedOut(String)
    case brokenBarrier
    // The system.
    case system(call: String, errno: Int32)
    case noWorker(String)
}

extension SpoolError {
    /// The name of the case for programs, as in `{"error":{"code":"no_such_job"}}`.
    public var code: String {
        switch self {
        case .usage: "usage"
        case .badInput: "bad_input"
        case .tooLarge: "too_large"
        case .noInput: "no_input"
        case .noSuchJob: "no_such_job"
        case .noSuchQueue: "no_such_queue"
        case .wrongState: "wrong_state"
        case .noStore: "no_store"
        case .notAStore: "not_a_store"
        case .storeTooNew: "store_too_new"
        case .storeCorrupt: "store_corrupt"
        case .readOnly: "read_only"
        case .notPermitted: "not_permitted"
        case .cannotCreate: "cannot_create"
        case .diskFull: "disk_full"
        case .inputOutput: "io_error"
        case .locked: "locked"
        case .outcomeUnknown: "outcome_unknown"
        case .untold: "untold"
        case .claimLost: "claim_lost"
        case .taskDoneTooOften: "task_done_too_often"
        case .empty: "empty"
        case .full: "full"
        case .shutDown: "shut_down"
        case .closed: "closed"
        case .endOfFile: "end_of_file"
        case .timedOut: "timed_out"
        case .brokenBarrier: "broken_barrier"
        case .system: "system"
        case .noWorker: "no_worker"
        }
    }

    /// The exit status of a command that ends with this error: sysexits.h where it has one, 124 as timeout(1).
    public var exitCode: Int32 {
        switch self {
        case .usage: 64
        case .badInput, .tooLarge, .notAStore, .storeCorrupt, .wrongState: 65
        case .noSuchJob, .noSuchQueue, .noStore, .noInput: 66
        case .noWorker: 69
        case .system: 71
        case .cannotCreate: 73
        case .diskFull, .inputOutput, .outcomeUnknown, .untold: 74
        case .locked, .empty, .full, .shutDown, .closed, .endOfFile, .claimLost,
            .taskDoneTooOften, .brokenBarrier:
            75
        case .readOnly, .notPermitted: 77
        case .storeTooNew: 78
        case .timedOut: 124
        }
    }
}
