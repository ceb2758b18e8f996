// TimeTests.swift - moments, deadlines and durations, at both ends of their ranges.

import SpoolThreads
import Testing

@Suite("Time") struct TimeTests {
    @Test(
        "is written as RFC 3339 in UTC with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (1_795_511_957_098_282, "2026-11-24T09:19:17.098Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"),
            (.min, "-290308-12-21T19:59:05.224Z"), (.max, "294247-01-10T04:00:54.775Z"),
        ] as [(Int64, String)])
    func rfc3339(_ microseconds: Int64, _ text: String) {
        #expect(UnixTime(microseconds: microseconds).rfc3339 == text)
    }

    @Test("I6: saturates instead of overflowing")
    func saturation() {
        let late = UnixTime(microseconds: .max - 1)
        #expect((late + .seconds(1)).microseconds == .max)
        #expect((UnixTime(microseconds: .min + 1) + .seconds(-1)).microseconds == .min)
        let longest = Duration.seconds(9_223_372_036_854) + .microseconds(999_999)
        #expect(longest.microseconds == .max && (.zero - longest).microseconds == .min)
        #expect((Duration.seconds(9_223_372_036) + .nanoseconds(999_999_999)).nanoseconds == .max)
        let (first, last) = (UnixTime(microseconds: .min), UnixTime(microseconds: .max))
        #expect((last - first).microseconds == .max && (first - last).microseconds == .min)
        #expect(Deadline(after: .seconds(Int64.max)) > .now())
        #expect(Deadline(after: .seconds(Int64.max)).pollTimeout() == .max)
        #expect(Deadline(nanoseconds: .max - 1).remaining() == .nanoseconds(Int64.max))
        #expect(Duration.seconds(Int64.max).microseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
    }

    @Test("a deadline without a limit never passes; one of zero or less has passed")
    func deadlines() {
        #expect(!Deadline(after: nil).isPast && Deadline.never.pollTimeout() == -1)
        #expect(Deadline(after: .zero).isPast && Deadline(after: .seconds(-5)).isPast)
        let now = Deadline(nanoseconds: 1_000_000)
        #expect(Deadline(nanoseconds: 1_000_001).pollTimeout(at: now) == 1)
        #expect(Deadline(nanoseconds: 3_000_000).remaining(at: now) == .milliseconds(2))
    }

    @Test("a pause lasts until its deadline is past, and not at all if it is")
    func pause() {
        let deadline = Deadline(after: .microseconds(300))
        Pause.until(deadline)
        #expect(deadline.isPast)
        Pause.until(Deadline(nanoseconds: 1))
    }

    @Test(
        "durations read as they are typed",
        arguments: [
            (Duration.zero, "0s"), (.milliseconds(250), "250ms"), (.seconds(90), "1m30s"),
            (.seconds(90_000), "1d1h"), (.milliseconds(1500), "1.5s"),
        ])
    func typed(_ duration: Duration, _ text: String) { #expect(duration.typed == text) }
}
