// Cuts.swift - the cuts of one making of a file, and what must hold after each.

internal import CFaultFiles
internal import Dice
private import Glibc
@testable internal import SpoolJobs
internal import SpoolThreads

/// Every prefix of what was recorded, on one kind of disk.
struct Cuts {
    private let events: [fault_file_event]
    private var disk: CutDisk
    private let image: Image
    private let what: String
    private var (made, puts) = (false, 0)
    /// In the file, before it was migrated.
    private let jobsBefore: Int
    /// The log of the file that had the name before.
    private let oldLog: [UInt8]?

    init(
        _ record: (before: [fault_file_event], events: [fault_file_event]), _ model: CutDisk.Model,
        _ neglect: CutDisk.Neglect, _ image: Image, _ what: String, jobsBefore: Int
    ) {
        events = record.events
        disk = CutDisk(model, neglecting: neglect)
        (self.image, self.what, self.jobsBefore) = (image, what, jobsBefore)
        made = jobsBefore > 0
        for event in record.before { disk.apply(event) }
        disk.syncAll()
        var dice = Dice(seed: 1)
        let log = CutDisk.Name(directory: 1, text: "jobs.db-wal")
        let file = disk.names(.all, &dice)[log]
        oldLog = if let file, jobsBefore == 0 { disk.content(of: file, .all, &dice) } else { nil }
    }

    mutating func run(_ rounds: Int, _ seed: UInt64, _ findings: inout Findings) throws {
        var dice = Dice(seed: seed)
        for (number, event) in events.enumerated() {
            if event.kind == FAULT_FILE_ACKNOWLEDGE {
                (made, puts) = (event.offset != 0, Int(event.count))
            } else {
                disk.apply(event)
            }
            // After the next write any sectors of this one may be missing all the same.
            let next = events.dropFirst(number + 1).first?.kind
            if event.kind == FAULT_FILE_WRITE, next == FAULT_FILE_WRITE { continue }
            for round in 0..<rounds {
                let lucks = CutDisk.Luck.allCases
                let isNamed = round == 0 && event.kind == FAULT_FILE_NAME
                let names = isNamed ? .last : lucks.randomElement(using: &dice) ?? .some
                let bytes = lucks.randomElement(using: &dice) ?? .some
                try image.write(disk, names: names, bytes: bytes, &dice)
                findings.cuts += 1
                look("\(what), after call \(number) of \(events.count)", &findings)
            }
        }
    }

    private func look(_ place: String, _ findings: inout Findings) {
        if let oldLog, !Image.tree(image.directory).values.contains(oldLog) {
            findings.note("\(place): the old log is gone", \.lostPuts)
        }
        do throws(SpoolError) {
            let before = try count(place, &findings)
            // Whatever was left there is in nobody's way.
            let store = try Store.open(image.database, .create)
            try store.put([NewFileRig.job(10)], now: NewFileRig.noon)
            let after = try store.counts(queue: nil).total
            if after != before + 1 {
                findings.note("\(place): \(before) jobs, then \(after)", \.unsound)
            }
            let problems = try store.check()
            if !problems.isEmpty { findings.note("\(place): then \(problems)", \.unsound) }
        } catch {
            findings.note("\(place): \(error)", \.unsound)
        }
    }

    /// How many jobs are there.
    private func count(_ place: String, _ findings: inout Findings) throws(SpoolError) -> Int {
        guard Path.size(image.database) ?? 0 > 0 else {
            if made { findings.note("\(place): no file", \.lostFiles) }
            if puts > 0 { findings.note("\(place): no file, \(puts) were put", \.lostPuts) }
            return 0
        }
        if jobsBefore > 0 { try checkCopy(place, &findings) }
        let store = try Store.open(image.database, .existing)
        let problems = try store.check()
        if !problems.isEmpty { findings.note("\(place): \(problems)", \.unsound) }
        let count = try store.counts(queue: nil).total
        let known = jobsBefore + puts
        if count < known { findings.note("\(place): \(count) jobs of \(known)", \.lostPuts) }
        if count > jobsBefore + Making.jobs {
            findings.note("\(place): \(count) jobs, others' among them", \.unsound)
        }
        return count
    }

    /// A file that was migrated has what it was before beside it, whole.
    private func checkCopy(_ place: String, _ findings: inout Findings) throws(SpoolError) {
        let database = try Connection(image.database, .existing)
        defer { database.close() }
        guard try Schema.isCurrent(database) else { return }
        let path = image.database + ".schema-1"
        guard Path.size(path) ?? 0 > 0 else {
            return findings.note("\(place): migrated, and no copy", \.lostFiles)
        }
        do throws(SpoolError) {
            let copy = try Connection(path, .existing)
            defer { copy.close() }
            let isSound = try Schema.value("SELECT count(*) FROM pragma_integrity_check", copy) == 1
            let count = try Schema.value("SELECT count(*) FROM job", copy)
            guard isSound, count == jobsBefore else {
                return findings.note("\(place): migrated, copy of \(count) jobs", \.lostFiles)
            }
        } catch {
            findings.note("\(place): migrated, and the copy: \(error)", \.lostFiles)
        }
    }

    /// With all that was done the disk holds what the directory holds, or something was not recorded.
    mutating func compare(with directory: String) throws {
        var dice = Dice(seed: 1)
        try image.write(disk, names: .all, bytes: .all, &dice)
        let (recorded, real) = (Image.tree(image.directory), Image.tree(directory))
        for name in Set(recorded.keys).union(real.keys).sorted() where recorded[name] != real[name]
        {
            throw SpoolError.usage("the rig is void: \(what): \(name) was changed unseen")
        }
    }
}
