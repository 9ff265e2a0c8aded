package import Postgres

extension Leaf {
    /// A relation that has rows and no block keeps them somewhere else (an access method or an extension of its own):
    /// every reading by blocks would call it empty.
    package func refuseRowsElsewhere(hidden: Bool) throws(PostgresError) {
        guard hidden else { return }
        throw PostgresError(
            .unexpectedAnswer,
            "\(sqlName) has rows, but no block of its own file: its rows are stored where this tool cannot read them. "
                + "Take it out of the catalog, and rotate it by the means of what stores it")
    }
}
