import Rotation
import Testing

@Suite struct VacuumScheduleTests {
    @Test func aLeafIsDueAfterEachShareOfItsRows() {
        var schedule = VacuumSchedule(percent: 10, rows: [1: 100_000])
        #expect(schedule.next([1: 9_999]) == nil)
        #expect(schedule.next([1: 10_000]) == 1)
        #expect(schedule.next([1: 19_999]) == nil)
        #expect(schedule.next([1: 25_000]) == 1)
        #expect(schedule.next([1: 34_999]) == nil)
    }

    @Test func theLeafWithTheLargestShareComesFirst() {
        var schedule = VacuumSchedule(percent: 10, rows: [1: 100_000, 2: 20_000, 3: 10_000])
        let done: [UInt32: Int] = [1: 20_000, 2: 10_000, 3: 100]
        #expect(schedule.next(done) == 2)
        #expect(schedule.next(done) == 1)
        #expect(schedule.next(done) == nil)
    }

    @Test func aFewRowsAreNotWorthIt() {
        var schedule = VacuumSchedule(percent: 10, rows: [1: 50])
        #expect(schedule.next([1: 50]) == nil)
    }

    @Test func countersThatBeganAgainAreFollowed() {
        var schedule = VacuumSchedule(percent: 10, rows: [1: 100_000])
        #expect(schedule.next([1: 50_000]) == 1)
        #expect(schedule.next([:]) == nil)
        #expect(schedule.next([1: 10_000]) == 1)
    }
}
