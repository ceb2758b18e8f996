// SpoolError+Text.swift - the sentences of the errors: what was wrong, and what to do.

private import Glibc

extension SpoolError: CustomStringConvertible {
    /// What was wrong, as one sentence or more, without "error:" before it.
    public var message: String {
        switch self {
        case .usage(let text, _), .badInput(let text, _), .timedOut(let text), .noWorker(let text):
            text
        case .tooLarge(let what, let bytes, let limit):
            "\(what) has \(bytes) bytes, the limit is \(limit)."
        case .noInput(let path, let reason): "cannot read \(path): \(reason)."
        case .noSuchJob(let id, let newest):
            "no job \(id)." + (newest.map { " The newest is \($0)." } ?? " There is no job yet.")
        case .noSuchQueue(let name, let nearest):
            "no queue '\(name)'." + (nearest.map { " Did you mean '\($0)'?" } ?? "")
        case .wrongState(let job, let state, let wanted, _):
            "job \(job) is \(state); \(wanted)."
        case .claimLost(let job, let attempt):
            "attempt \(attempt) of job \(job) is not held any more; nothing was changed."
        case .taskDoneTooOften: "taskDone was called more often than get."
        case .empty: "the queue is empty."
        case .full: "the queue is full."
        case .shutDown: "the queue or pool is shut down."
        case .closed(let what): "the \(what) is closed."
        case .endOfFile: "the other end of the connection is closed, and all that came was read."
        case .brokenBarrier: "the barrier is broken."
        case .system(let call, let number): "\(call): \(SpoolError.reason(number))."
        default: fileMessage
        }
    }

    private var fileMessage: String {
        switch self {
        case .noStore(let path): "no spool file at \(path)."
        case .notAStore(let path, let why): "\(path) \(why)."
        case .storeTooNew(let path, let found, let known):
            "\(path) was written by a newer spool (schema \(found), this one knows \(known))."
        case .storeCorrupt(let path, let detail): "\(path) is damaged: \(detail)."
        case .readOnly(let path):
            "\(path) cannot be written: it or its file system is read-only for you."
        case .notPermitted(let path, let doing, let owner):
            "you may not \(doing) \(path), which is \(owner.map { "\($0)'s" } ?? "your own")."
        case .cannotCreate(let path, let why): "cannot create \(path): \(why)."
        case .diskFull(let path, let doing): "disk full while writing \(path): \(doing)."
        case .inputOutput(let path, let doing, let detail):
            "I/O error on \(path) while \(doing): \(detail)."
        case .locked(let path): "\(path) is locked by another program for too long."
        case .outcomeUnknown(let path, let doing, let detail):
            "I/O error on \(path) while \(doing): \(detail). It is not known whether it happened."
        case .untold(let what, let detail):
            "\(what) could not be written to standard output: \(detail)."
        default: code
        }
    }

    /// What to do about it, if there is something.
    public var hint: String? {
        switch self {
        case .usage(_, let hint), .badInput(_, let hint), .wrongState(_, _, _, let hint): hint
        case .noStore(let path): "Create it with:  spool init \(path)"
        case .tooLarge: "Nothing was put."
        case .storeTooNew: "Update spool; the file was not touched."
        case .storeCorrupt(let path, _):
            "The file was not touched. Look closer with:  spool check \(path)"
        case .diskFull: "Free some space and try again; nothing that was acknowledged is lost."
        case .notPermitted(let path, _, nil): "Allow it:  chmod u+rwX \(path)"
        case .notPermitted(_, _, let owner?):
            "Run it as \(owner), or name a file of your own with --file."
        case .locked:
            "Try again; a program that keeps a transaction open for seconds is in the way."
        case .system("inotify_init1", EMFILE):
            "This user waits in too many programs. Raise it:  sysctl fs.inotify.max_user_instances=1024"
        case .system("inotify_add_watch", ENOSPC):
            "This user watches too many files. Raise it:  sysctl fs.inotify.max_user_watches=524288"
        case .brokenBarrier: "A party was late, failed or aborted; reset() makes it as new."
        case .outcomeUnknown: "Look with  spool list  before you put it again."
        default: nil
        }
    }

    /// The sentence, and the way out.
    public var description: String { hint.map { "\(message) \($0)" } ?? message }

    /// What the system said, without a sentence around it.
    public var reason: String {
        switch self {
        case .inputOutput(_, _, let detail), .outcomeUnknown(_, _, let detail),
            .storeCorrupt(_, let detail), .untold(_, let detail):
            detail
        case .noInput(_, let reason): reason
        case .system(_, let number): SpoolError.reason(number)
        default: code
        }
    }

    /// The C library's words for an errno.
    public static func reason(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
