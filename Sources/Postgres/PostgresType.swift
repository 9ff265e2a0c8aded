/// A type of PostgreSQL by its fixed oid. Source: pg_type.dat.
package struct PostgresType: Hashable, Sendable {
    package let oid: UInt32
    /// The oid of its array type.
    private let arrayOID: UInt32

    private init(_ oid: UInt32, array: UInt32) {
        self.oid = oid
        self.arrayOID = array
    }

    package static let bool = PostgresType(16, array: 1000)
    package static let bytea = PostgresType(17, array: 1001)
    package static let int8 = PostgresType(20, array: 1016)
    package static let int4 = PostgresType(23, array: 1007)
    package static let text = PostgresType(25, array: 1009)
    package static let oid = PostgresType(26, array: 1028)
    package static let tid = PostgresType(27, array: 1010)
    package static let json = PostgresType(114, array: 199)
    package static let jsonb = PostgresType(3802, array: 3807)

    var array: PostgresType { PostgresType(arrayOID, array: 0) }
}
