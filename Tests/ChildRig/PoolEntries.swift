// PoolEntries.swift - what the processes of the rig's pools do.

import Glibc
import SpoolProcesses
import SpoolQueues
import SpoolThreads

let square = ChildEntry("square") { (number: Int) -> Int in number * number }
let whoami = ChildEntry("whoami") { (_: NoInput) -> Int32 in getpid() }

/// Says that it is there, and waits until it may go on. With the path of a file: dies the first time.
let gate = ChildEntry("gate") { (address: String) -> Int32 in
    let connection = try Connection(to: address)
    try connection.send(getpid())
    _ = try connection.recvBytes()
    return getpid()
}

/// Dies unless somebody has died here before, which a file tells.
let fragile = ChildEntry("fragile") { (path: String) -> Int in
    let isSecond = access(path, F_OK) == 0
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    if !isSecond { raise(SIGKILL) }
    return 5
}

/// What its text is as long as it is told to be.
struct LongError: Error, CustomStringConvertible {
    let length: Int
    var description: String { "begins" + String(repeating: "\u{1F9F5}", count: length) }
}

let longText = ChildEntry("longText") { (length: Int) -> String in
    String(repeating: "x", count: length)
}
let longError = ChildEntry("longError") { (length: Int) in throw LongError(length: length) }

/// A value that makes trouble when and where it is told to.
struct Trouble: Codable, Sendable {
    enum Moment: String, Codable { case never, decoding, running, encoding }
    enum Way: String, Codable { case error, exit, crash }

    var moment = Moment.never
    var way = Way.error
    /// Nothing happens in the process that made it.
    var isAbroad = false

    init(_ moment: Moment, _ way: Way) { (self.moment, self.way) = (moment, way) }

    init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        moment = try values.decode(Moment.self)
        way = try values.decode(Way.self)
        let isBack = try values.decode(Bool.self)
        isAbroad = !isBack
        if moment == .decoding, !isBack { try make() }
    }

    func encode(to encoder: any Encoder) throws {
        if moment == .encoding, isAbroad { try make() }
        var values = encoder.unkeyedContainer()
        try values.encode(moment)
        try values.encode(way)
        try values.encode(isAbroad)
    }

    func make() throws {
        switch way {
        case .error: throw SpoolError.badInput("trouble while \(moment.rawValue)")
        case .exit: exit(8)
        case .crash: raise(SIGKILL)
        }
    }
}

let troubled = ChildEntry("troubled") { (trouble: Trouble) -> Trouble in
    if trouble.moment == .running { try trouble.make() }
    return trouble
}

/// Cannot be an input of a pool: it holds a descriptor.
let connected = ChildEntry("connected") { (_: Connection) -> Int in 0 }

let setUp = ChildEntry("setUp") { (name: String) in
    if name.isEmpty { throw SpoolError.badInput("no name for the pool") }
    setenv("SPOOL_RIG", name, 1)
}

let environment = ChildEntry("environment") { (name: String) -> String in
    getenv(name).map { String(cString: $0) } ?? ""
}

let speak = ChildEntry("speak") { (text: String) in
    print(text)
    fflush(nil)
}

/// A pool in a child process.
let poolInside = ChildEntry("poolInside") { (answer: Connection) in
    let sum = try ProcessPool.with(maxWorkers: 2) { pool in
        try pool.map(square, 1...10).all().reduce(0, +)
    }
    try answer.send(sum)
}
