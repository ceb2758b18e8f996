// PipeCases.swift - cases about connections between processes.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads

let pipes: [String: Case] = [
    "echo": { method in
        let pipe = try Pipe()
        let child =
            method == .fork
            ? ChildProcess(
                forking: {
                    // A fork has a copy of our end too: while it is open the end of the file does not come.
                    pipe.first.close()
                    try answer(pipe.second)
                }) : ChildProcess(echo, pipe.second, method: method)
        try child.start()
        // The parent may close its copy right after the start.
        pipe.second.close()
        let large = [UInt8](unsafeUninitializedCapacity: 16 << 20) { bytes, count in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 7) }
            count = bytes.count
        }
        for message in [[1, 2, 3], [], large, []] {
            try pipe.first.sendBytes(message)
            try check(pipe.first.recvBytes() == message, "\(message.count) bytes come back")
        }
        pipe.first.close()
        try child.join()
        try check(child.exitStatus?.exit == 0, "the end of the file ends it")
    }
]
