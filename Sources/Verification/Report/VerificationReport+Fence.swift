extension VerificationReport {
    /// What refuses late writers, table by table.
    package struct Fence: Encodable, Sendable {
        /// Every table that was looked at refuses every retired key that the settings name.
        let isComplete: Bool
        /// What every column of every table that was looked at refuses.
        let refusedKeyIds: [String]
        /// Empty where nobody has looked.
        let constraints: [FenceConstraint]
    }

    package struct FenceConstraint: Encodable, Sendable {
        let table: String
        let name: String
        /// PostgreSQL has checked every row that was there.
        let isValidated: Bool
        let retiredKeyIds: [String]

        package init(table: String, name: String, isValidated: Bool, retiredKeyIDs: [String]) {
            self.table = table
            self.name = name
            self.isValidated = isValidated
            self.retiredKeyIds = retiredKeyIDs
        }
    }
}
