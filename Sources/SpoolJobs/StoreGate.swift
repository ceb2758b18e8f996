// StoreGate.swift - entering the gate at which all others stand.
//
// The gate and the memory of all who write are files of the directory beside the database, which somebody may remove
// though it is in use. Whoever opens the database next makes it anew. If each kept to what he had opened, none would
// hear of the others' commits, and of jobs that a process which died had taken along nobody could tell whether they
// were put: the number of the last batch could be of the others. So who enters the gate sees to it that it still has
// its name.

internal import SpoolThreads

extension Store {
    /// - Throws: `readOnly` when it was opened to be looked at.
    var writersGate: Gate {
        get throws(SpoolError) {
            guard let gate else { throw .readOnly(path: files.database) }
            return gate
        }
    }

    /// Waits for its turn to write.
    func enterGate() throws(SpoolError) -> Gate {
        while true {
            let gate = try writersGate
            // Without the directory there is no memory to be opened.
            if openedMemory != nil || gate.isInPlace {
                _ = try shared()
                try gate.enter()
                if gate.isInPlace { return gate }
                gate.leave()
            }
            try beginBesideAnew()
        }
    }

    /// Out of the gate: calls one of those that have posted and found it closed.
    func leave(_ gate: Gate, _ board: Board) {
        gate.leave()
        board.next.call()
    }

    private func beginBesideAnew() throws(SpoolError) {
        try checkInPlace()
        try Path.makeDirectory(files.directory, of: files.database)
        try Path.checkPrivate(files.directory, of: files.database)
        files.makeLogs()
        gate = try Gate(files)
        (openedMemory, livesProbe, bells) = (nil, nil, [:])
    }
}
