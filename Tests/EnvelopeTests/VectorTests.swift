import Envelope
import Foundation
import Testing

@Suite("Known answers of another implementation")
struct VectorTests {
    @Test(arguments: Vectors.shared.valid)
    func opens(_ vector: Vectors.Valid) throws {
        let keyring = try Vectors.keyring()
        let expected = try [UInt8](#require(Data(base64Encoded: vector.plaintext_base64)))
        #expect(try keyring.open(vector.text) == expected)
        #expect(try Keyring.keyID(of: vector.text).description == vector.key_id)
        #expect(try keyring.isCurrent(vector.text) == (vector.key_id == "kek-v3"))
    }

    @Test(arguments: Vectors.shared.valid)
    func opensUnderTheTargetAloneAfterRotation(_ vector: Vectors.Valid) throws {
        let rotating = try Vectors.keyring()
        let target = try Vectors.keyring(primary: "kek-v3", previous: [])
        let expected = try [UInt8](#require(Data(base64Encoded: vector.plaintext_base64)))
        for rotated in [try rotating.rewrap(vector.text), try rotating.reencrypt(vector.text)] {
            #expect(try target.open(rotated) == expected)
            #expect(try target.isCurrent(rotated))
        }
    }

    @Test(arguments: Vectors.shared.invalid)
    func refuses(_ vector: Vectors.Invalid) throws {
        let keyring = try Vectors.keyring()
        let error = try #require(throws: EnvelopeError.self) { try keyring.open(vector.text) }
        #expect(error.category.rawValue == vector.error, "\(error)")
    }

    @Test func areAllThere() {
        #expect(Vectors.shared.valid.count == 13)
        #expect(Vectors.shared.invalid.count == 22)
    }
}
