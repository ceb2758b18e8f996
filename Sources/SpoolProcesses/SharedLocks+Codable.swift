// SharedLocks+Codable.swift - handles of shared locks that travel to other processes, with the memory behind them.
//
// What is encoded is the index of a descriptor that goes along (PassedDescriptors): as an argument of a child process,
// or over a connection. A handle that arrived is one more user of the same thing, whichever process it came from.

extension SharedMemory {
    fileprivate func pass(to encoder: any Encoder, as what: String) throws {
        var container = encoder.singleValueContainer()
        try container.encode(encoder.passDescriptor(descriptor, of: what))
    }

    fileprivate convenience init(from decoder: any Decoder, as what: String) throws {
        let index = try decoder.singleValueContainer().decode(Int.self)
        try self.init(mapping: decoder.takeDescriptor(index, of: what))
    }
}

extension SharedLock: Codable {
    /// Passes the lock on: free or held, it stays as it is.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        try core.seats.memory.pass(to: encoder, as: "SharedLock")
    }

    /// The lock that came along.
    /// - Throws: `badInput` when no such lock came along; `system` when address space is short.
    public convenience init(from decoder: any Decoder) throws {
        try self.init(SharedMemory(from: decoder, as: "SharedLock"))
    }
}

extension SharedRLock: Codable {
    /// Passes the lock on: free or held, it stays as it is.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        try core.seats.memory.pass(to: encoder, as: "SharedRLock")
    }

    /// The lock that came along.
    /// - Throws: `badInput` when no such lock came along; `system` when address space is short.
    public convenience init(from decoder: any Decoder) throws {
        try self.init(SharedMemory(from: decoder, as: "SharedRLock"))
    }
}

extension SharedSemaphore: Encodable {
    /// Passes the semaphore on; its units stay with those who hold them.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public final func encode(to encoder: any Encoder) throws {
        try place.seats.memory.pass(to: encoder, as: "SharedSemaphore")
    }

    static func memory(from decoder: any Decoder) throws -> SharedMemory {
        try SharedMemory(from: decoder, as: "SharedSemaphore")
    }
}

extension SharedEvent: Codable {
    /// Passes the event on.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        try place.seats.memory.pass(to: encoder, as: "SharedEvent")
    }

    /// The event that came along.
    /// - Throws: `badInput` when no such event came along; `system` when address space is short.
    public convenience init(from decoder: any Decoder) throws {
        try self.init(SharedMemory(from: decoder, as: "SharedEvent"))
    }
}

extension SharedBarrier: Codable {
    /// Passes the barrier on, without its action.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        try place.seats.memory.pass(to: encoder, as: "SharedBarrier")
    }

    /// The barrier that came along, without an action.
    /// - Throws: `badInput` when no such barrier came along; `system` when address space is short.
    public convenience init(from decoder: any Decoder) throws {
        try self.init(SharedMemory(from: decoder, as: "SharedBarrier"))
    }
}

extension SharedCondition: Codable {
    private enum CodingKeys: CodingKey { case lock, recursiveLock, line }

    /// Passes the condition on, with its lock.
    /// - Throws: `badInput` when what is encoded goes no way that carries descriptors.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch lock {
        case .plain(let lock): try container.encode(lock, forKey: .lock)
        case .recursive(let lock): try container.encode(lock, forKey: .recursiveLock)
        }
        let index = try encoder.passDescriptor(place.seats.memory.descriptor, of: "SharedCondition")
        try container.encode(index, forKey: .line)
    }

    /// The condition that came along. Its lock is another handle than one that is decoded beside it.
    /// - Throws: `badInput` when no such condition came along; `system` when address space is short.
    public convenience init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let plain = try container.decodeIfPresent(SharedLock.self, forKey: .lock)
        let lock =
            if let plain {
                SharedGuard.plain(plain)
            } else {
                SharedGuard.recursive(
                    try container.decode(SharedRLock.self, forKey: .recursiveLock))
            }
        let index = try container.decode(Int.self, forKey: .line)
        try self.init(
            lock, SharedMemory(mapping: decoder.takeDescriptor(index, of: "SharedCondition")))
    }
}
