// Dice.swift - randomness as a function of what it is for.
//
// Not a stream: the time that a message takes depends on the seed, the link and the message's number only. So an act
// that is left out of a run changes nothing that has nothing to do with it, and a failing run can be made shorter.

internal import SpoolThreads

/// Numbers that look random.
struct Dice {
    enum Purpose: UInt64 {
        case act, delay, run, fate, birth, bell, turn, lag, settle, retry, plan, choice
    }

    let seed: UInt64

    func number(_ purpose: Purpose, _ a: Int64 = 0, _ b: Int64 = 0) -> UInt64 {
        var hash = Self.mixed(seed &+ purpose.rawValue &* 0x9e37_79b9_7f4a_7c15)
        hash = Self.mixed(hash ^ UInt64(bitPattern: a))
        return Self.mixed(hash &+ UInt64(bitPattern: b) &* 0xd1b5_4a32_d192_ed03)
    }

    /// The finalizer of splitmix64 (Steele, Lea and Flood, 2014).
    static func mixed(_ number: UInt64) -> UInt64 {
        var hash = number &+ 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        return hash ^ (hash >> 31)
    }

    func below(_ limit: Int, _ purpose: Purpose, _ a: Int64 = 0, _ b: Int64 = 0) -> Int {
        Int(number(purpose, a, b) % UInt64(max(1, limit)))
    }

    /// In 0 ..< 1.
    func fraction(_ purpose: Purpose, _ a: Int64 = 0, _ b: Int64 = 0) -> Double {
        Double(number(purpose, a, b) >> 11) / 9_007_199_254_740_992
    }

    /// Mostly short, now and then up to `longest`: what shows races is one that is late.
    func time(upTo longest: Duration, _ purpose: Purpose, _ a: Int64 = 0, _ b: Int64 = 0) -> Int64 {
        let luck = fraction(purpose, a, b)
        return 1000 + Int64(Double(longest.nanoseconds) * luck * luck * luck * luck)
    }
}

/// Reads the parts of one random number, for choices that belong together.
struct Portions {
    private var rest: UInt64

    init(_ number: UInt64) { rest = number }

    mutating func next(_ limit: Int) -> Int {
        rest = Dice.mixed(rest)
        return Int(rest % UInt64(max(1, limit)))
    }

    mutating func chance(_ percent: Int) -> Bool { next(100) < percent }
}
