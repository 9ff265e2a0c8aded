/// When something began, for people and for measuring.
struct Moment {
    let text = Timestamp.now()
    private let instant = ContinuousClock.now

    /// In milliseconds' precision.
    var elapsedSeconds: Double {
        (((ContinuousClock.now - instant) / .seconds(1)) * 1_000).rounded() / 1_000
    }
}
