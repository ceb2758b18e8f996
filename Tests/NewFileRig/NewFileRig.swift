// NewFileRig.swift - rig P for a file that is made, or migrated: cuts the power at every step, and looks what is left.
//
//     NewFileRig DIRECTORY ROUNDS SEED [directories|files]
//
// Makes files, each in another place, puts jobs into them, and writes down every call that changes a name or a byte, or
// syncs one. Then, for every prefix of these calls, on two kinds of disks (CutDisk), it rebuilds what a power cut may
// leave there, ROUNDS times with other luck, and opens that. Where a put was acknowledged its job must be there; where
// the file's making was, the file. In any case there is no file or a sound one, and the next put succeeds; beside one
// that was migrated is a copy of what it was. Prints counts; exit status 1 if something was lost. With "directories" no
// sync of a directory reaches the disk, with "files" none of a file: a rig that never went red proves nothing.

internal import CFaultFiles
private import Glibc
@testable internal import SpoolJobs
internal import SpoolThreads

@main
struct NewFileRig {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count >= 4, let rounds = Int(words[2]), let seed = UInt64(words[3]),
            let neglect = CutDisk.Neglect(rawValue: words.dropFirst(4).first ?? "")
        else { return print("usage: NewFileRig DIRECTORY ROUNDS SEED [directories|files]") }
        var findings = Findings()
        // What is neglected is to be noticed, not to be counted.
        for making in neglect == .none ? Making.allCases : [.byPut] {
            let events = try making.record(in: words[1] + "/made")
            for model in CutDisk.Model.allCases {
                var cuts = Cuts(
                    events, model, neglect, Image(words[1] + "/cut"), "\(making), \(model)",
                    jobsBefore: making == .older ? Making.oldJobs : 0)
                try cuts.run(rounds, seed, &findings)
                if neglect == .none { try cuts.compare(with: words[1] + "/made") }
            }
        }
        print(
            "seed \(seed): \(findings.cuts) power cuts, \(findings.lostFiles) lost files,"
                + " \(findings.lostPuts) lost acknowledged puts, \(findings.unsound) unsound files")
        for example in findings.examples { print(example) }
        fflush(nil)
        exit(findings.isGreen ? 0 : 1)
    }

    static let noon = UnixTime(microseconds: 1_800_000_000_000_000)

    static func job(_ size: Int) -> NewJob {
        NewJob(.kind(Job.noop), body: .bytes([UInt8](repeating: 7, count: size)))
    }
}

/// Where a file is made, and by whom.
enum Making: CaseIterable {
    /// There is nothing, and the first put makes it.
    case byPut
    /// One makes it and closes it, another one puts.
    case byAnother
    /// There is an empty file of the user's.
    case inPlaceOfEmpty
    /// There is what somebody has left whose power was cut as he made it.
    case afterHalf
    /// There is the log of one that was moved, where its last jobs are.
    case besideLog
    /// There is such a log, and an empty file.
    case emptyBesideLog
    /// There is a file of the first schema, which is brought up to date.
    case older

    /// So many jobs are put into it.
    static let jobs = 3
    static let oldJobs = 5

    /// - Returns: What stood there before counts as synced, and what happened then.
    func record(in directory: String) throws -> (
        before: [fault_file_event], events: [fault_file_event]
    ) {
        Image.remove(directory)
        guard mkdir(directory, 0o700) == 0 else {
            throw SpoolError.system(call: "mkdir", errno: errno)
        }
        let path = directory + "/jobs.db"
        try prepare(path)
        guard fault_files_begin(directory) == 0 else { throw SpoolError.usage("no record") }
        try make(path)
        let count = fault_files_end()
        let all = (0..<count).map { fault_files_event($0).pointee }
        let begun = fault_files_begun()
        return (Array(all.prefix(begun)), Array(all.dropFirst(begun)))
    }

    private func prepare(_ path: String) throws {
        switch self {
        case .byPut, .byAnother: break
        case .inPlaceOfEmpty: try Image.write([], to: path)
        case .afterHalf:
            let files = StoreFiles(path)
            mkdir(files.directory, 0o700)
            for suffix in ["", "-journal", "-wal"] {
                try Image.write(
                    [UInt8](repeating: 0xD9, count: 5000), to: files.newDatabase + suffix)
            }
        case .besideLog, .emptyBesideLog:
            let store = try Store.open(path, .create)
            for _ in 0..<Making.oldJobs {
                try store.put([NewFileRig.job(100)], now: NewFileRig.noon)
            }
            store.completesAtClose = false
            store.close()
            unlink(path)
            guard self == .emptyBesideLog else { return }
            Image.remove(StoreFiles(path).directory)
            try Image.write([], to: path)
        case .older:
            let files = StoreFiles(path)
            mkdir(files.directory, 0o700)
            try Schema.create(files, Array(Migration.all.prefix(1)))
            let connection = try Connection(path, .existing)
            for _ in 0..<Making.oldJobs {
                try connection.execute("INSERT INTO jobs(command) VALUES ('true')")
            }
            connection.close()
        }
    }

    private func make(_ path: String) throws {
        var store = try Store.open(path, .create)
        fault_files_acknowledge(1, 0)
        if self == .byAnother {
            store.close()
            store = try Store.open(path, .existing)
        }
        for number in 1...Making.jobs {
            try store.put([NewFileRig.job(number * 300)], now: NewFileRig.noon)
            fault_files_acknowledge(1, Int64(number))
        }
        store.close()
    }
}

/// What was wrong after how many cuts.
struct Findings {
    var cuts = 0
    var lostFiles = 0
    var lostPuts = 0
    var unsound = 0
    /// The first of each making, on each disk.
    var examples: [String] = []

    var isGreen: Bool { lostFiles + lostPuts + unsound == 0 }

    mutating func note(_ text: String, _ counter: WritableKeyPath<Findings, Int>) {
        self[keyPath: counter] += 1
        let place = text.prefix { $0 != ":" }.prefix { !$0.isNumber }
        if !examples.contains(where: { $0.hasPrefix(place) }) { examples.append(text) }
    }
}
