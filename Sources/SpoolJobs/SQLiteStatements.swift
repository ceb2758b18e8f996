// SQLiteStatements.swift - the prepared statements of a store, found by the address of their text.
//
// Literals have fixed addresses, so a pointer is the key. Every job costs some ten look-ups, and hashing them as a
// dictionary does was a twentieth of what a job cost. Open addressing, never more than half full.

/// Prepared statements by their text.
struct StatementTable {
    private var slots: [(key: UInt, statement: Statement)?] = Array(repeating: nil, count: 64)
    private var count = 0

    subscript(sql: StaticString) -> Statement? {
        get { slots[place(of: UInt(bitPattern: sql.utf8Start))]?.statement }
        set {
            guard let newValue else { return }
            let key = UInt(bitPattern: sql.utf8Start)
            if 2 * count >= slots.count { grow() }
            let place = place(of: key)
            if slots[place] == nil { count += 1 }
            slots[place] = (key, newValue)
        }
    }

    /// Where the key stands, or the free place where it belongs.
    private func place(of key: UInt) -> Int {
        let mask = slots.count - 1
        var place = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 40) & mask
        while let slot = slots[place], slot.key != key { place = (place + 1) & mask }
        return place
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: nil, count: 2 * old.count)
        for case let slot? in old { slots[place(of: slot.key)] = slot }
    }
}
