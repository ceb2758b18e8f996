// Pools.swift - a pool of processes: submit, map, and a process that dies without breaking the pool.
//
//     swift run Pools

import Glibc
import Spool

let square = ChildEntry("square") { (number: Int) -> Int in number * number }

let whereIsIt = ChildEntry("whereIsIt") { () -> Int32 in getpid() }

let crash = ChildEntry("crash") { (signal: Int32) -> Int in
    raise(signal)
    return 0
}

@main
enum Pools {
    static func main() throws {
        ChildProcess.serveIfAsked(square, whereIsIt, crash)

        try ProcessPool.with(maxWorkers: 4) { pool in
            let future = try pool.submit(square, 12)
            print("12 * 12 = \(try future.result())")
            print("in another process: \(try pool.submit(whereIsIt).result() != getpid())")
            print("squares: \(try pool.map(square, 1...10, chunk: 3).all())")

            let lost = try pool.submit(crash, SIGKILL)
            if let error = try lost.exception() { print("killed: \(error)") }
            print("and the pool goes on: \(try pool.submit(square, 3).result())")
        }
    }
}
