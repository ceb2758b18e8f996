// CutDisk.swift - a disk that the power is cut from: which names and which bytes of a directory it may hold then.
//
// Contents are on disk once their file was synced; of what was written since, nothing, all, or any sectors. A name is
// given or taken by an operation of its own, whose fate depends on the file system:
//
//   ordered   as ext4 and XFS: the operations before the last sync of a directory are on disk, and of those behind it
//             the first few
//   strict    as POSIX has it: those are on disk whose directory was synced since, and of the others any
//
// A rename is one operation in both. What is written through mapped memory may be anything.

internal import CFaultFiles
internal import Dice

struct CutDisk {
    enum Model: String, CaseIterable { case ordered, strict }
    /// What does not reach the disk although it was asked for, so that it can be seen that the rig notices.
    enum Neglect: String { case none = "", directories, files }

    struct Name: Hashable {
        var directory: Int32
        var text: String
    }
    /// One step: what has a name from now on; nil: nothing has.
    private struct Operation {
        var names: [(name: Name, file: Int32?)]
        var isDurable: Bool
    }

    let model: Model
    let neglect: Neglect
    private var operations: [Operation] = []
    private(set) var directories: Set<Int32> = [1]
    /// Synced, by file.
    private var contents: [Int32: [UInt8]] = [:]
    /// Not yet.
    private var pending: [Int32: [fault_file_event]] = [:]

    init(_ model: Model, neglecting neglect: Neglect) {
        (self.model, self.neglect) = (model, neglect)
    }

    // MARK: - What happens to it

    mutating func apply(_ event: fault_file_event) {
        switch event.kind {
        case FAULT_FILE_NAME:
            if event.is_directory != 0 { directories.insert(event.file) }
            var names = [(CutDisk.name(event.name), event.file == 0 ? nil : event.file)]
            if event.left.directory != 0 { names.insert((CutDisk.name(event.left), nil), at: 0) }
            operations.append(Operation(names: names, isDurable: false))
        case FAULT_FILE_WRITE, FAULT_FILE_SIZE: pending[event.file, default: []].append(event)
        case FAULT_FILE_SYNC where event.is_directory != 0: syncDirectory(event.file)
        case FAULT_FILE_SYNC: if neglect != .files { syncFile(event.file) }
        default: break
        }
    }

    /// What stands there when it begins was there before.
    mutating func syncAll() {
        for file in pending.keys { syncFile(file) }
        for index in operations.indices { operations[index].isDurable = true }
    }

    private mutating func syncFile(_ file: Int32) {
        for event in pending.removeValue(forKey: file) ?? [] {
            CutDisk.apply(event, to: &contents[file, default: []])
        }
    }

    private mutating func syncDirectory(_ directory: Int32) {
        guard neglect != .directories else { return }
        for index in operations.indices {
            let isThere = operations[index].names.contains { $0.name.directory == directory }
            if model == .ordered || isThere { operations[index].isDurable = true }
        }
    }

    private static func name(_ name: fault_file_name) -> Name {
        let text = withUnsafeBytes(of: name.text) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return Name(directory: name.directory, text: text)
    }

    private static func apply(_ event: fault_file_event, to content: inout [UInt8]) {
        guard event.kind == FAULT_FILE_WRITE else { return resize(&content, Int(event.offset)) }
        place(event, 0..<Int(event.count), in: &content)
    }

    private static func resize(_ content: inout [UInt8], _ size: Int) {
        if size <= content.count {
            content.removeLast(content.count - size)
        } else {
            content += [UInt8](repeating: 0, count: size - content.count)
        }
    }

    private static func place(
        _ event: fault_file_event, _ part: Range<Int>, in content: inout [UInt8]
    ) {
        let start = Int(event.offset) + part.lowerBound
        if content.count < start + part.count { resize(&content, start + part.count) }
        guard let bytes = event.bytes else { return }
        content.withUnsafeMutableBytes { target in
            target.baseAddress?.advanced(by: start).copyMemory(
                from: bytes + part.lowerBound, byteCount: part.count)
        }
    }

    // MARK: - What is left of it

    /// How much of what was not synced the disk holds.
    enum Luck: CaseIterable {
        case nothing, all, some
        /// What was done last, and nothing of what came before.
        case last
    }

    /// What each name leads to after a cut.
    func names(_ luck: Luck, _ dice: inout Dice) -> [Name: Int32] {
        var names: [Name: Int32] = [:]
        let undecided = operations.indices.filter { !operations[$0].isDurable }
        let first = luck == .some ? Int.random(in: 0...undecided.count, using: &dice) : 0
        for (index, operation) in operations.enumerated() {
            let isThere =
                switch luck {
                case .nothing: operation.isDurable
                case .all: true
                case .last where model == .strict:
                    operation.isDurable || index == undecided.last
                case .last: true
                case .some where model == .ordered:
                    operation.isDurable || undecided.prefix(first).contains(index)
                case .some: operation.isDurable || Bool.random(using: &dice)
                }
            guard isThere else { continue }
            for (name, file) in operation.names { names[name] = file }
        }
        return names
    }

    /// What stands in a file after a cut.
    func content(of file: Int32, _ luck: Luck, _ dice: inout Dice) -> [UInt8] {
        var content = contents[file] ?? []
        guard luck != .nothing else { return content }
        let events = pending[file] ?? []
        for event in luck == .last ? events.suffix(1) : events {
            if luck != .some {
                CutDisk.apply(event, to: &content)
            } else if event.kind == FAULT_FILE_WRITE {
                CutDisk.placeSectors(of: event, in: &content, &dice)
            } else if Bool.random(using: &dice) {
                CutDisk.apply(event, to: &content)
            }
        }
        return content
    }

    private static func placeSectors(
        of event: fault_file_event, in content: inout [UInt8], _ dice: inout Dice
    ) {
        var part = 0..<0
        while part.upperBound < Int(event.count) {
            let start = part.upperBound
            let room = 512 - (Int(event.offset) + start) % 512
            part = start..<min(start + room, Int(event.count))
            if Bool.random(using: &dice) { place(event, part, in: &content) }
        }
    }
}
