/// One connection to one node: commands go out, and their answers come back in the same order. It knows
/// nothing of masters, slots and redials. After an error of its own, or an answer that says that this server
/// cannot serve us, it is finished.
final class NodeLink {
    let address: RedisAddress
    private let transport: Transport
    private let reader: ReplyReader
    private(set) var isUsable = true
    /// Bytes of commands that the kernel has taken since the beginning.
    private(set) var bytesSent = 0

    init(
        to address: RedisAddress, tls: TLSSettings?, replyLimit: Int, until deadline: Deadline
    ) throws(RedisError) {
        self.address = address
        reader = try ReplyReader(limit: replyLimit)
        transport = try Transport(to: address, tls: tls, until: deadline)
    }

    /// Sends commands and waits for their answers. Each answer must be complete `patience` after the one
    /// before it.
    /// - Returns: one result for each command. Where the connection ends in between, the answers that came
    ///   stay, and the errors of the others say whether the command had left.
    func exchange(_ commands: CommandBuffer, patience: Duration) -> [Result<RedisReply, RedisError>] {
        var results: [Result<RedisReply, RedisError>] = []
        results.reserveCapacity(commands.count)
        var sent = 0
        do throws(RedisError) {
            try checkUsable()
            var deadline = Deadline(in: patience)
            while results.count < commands.count {
                if sent < commands.bytes.count {
                    let step = try send(commands.bytes, from: sent)
                    sent += step
                    // The server may wait for us to read before it reads on, so this never waits here.
                    if step > 0 { deadline = Deadline(in: patience) }
                }
                if let reply = try reader.next() {
                    results.append(outcome(reply, keepsEffects: commands.keepsEffects[results.count]))
                    deadline = Deadline(in: patience)
                    continue
                }
                if try receive() { continue }
                guard try transport.wait(toSend: sent < commands.bytes.count, until: deadline) else {
                    throw RedisError(
                        .timedOut, "\(address) was silent for \(PrintableText.seconds(patience))")
                }
            }
        } catch {
            isUsable = false
            while results.count < commands.count {
                let hasLeft = sent >= commands.ends[results.count]
                results.append(.failure(error.marked(mayHaveExecuted: hasLeft)))
            }
        }
        return results
    }

    private func outcome(_ reply: RedisReply, keepsEffects: Bool) -> Result<RedisReply, RedisError> {
        guard case .error(let error) = reply else { return .success(reply) }
        if error.breaksConnection { isUsable = false }
        let precedes = error.answer?.precedesScript ?? false
        return .failure(error.marked(mayHaveExecuted: keepsEffects && !precedes))
    }

    /// An idle connection that the server has closed is found out here, before anything is sent: afterwards
    /// nobody could tell whether the command was executed.
    private func checkUsable() throws(RedisError) {
        guard isUsable else {
            throw RedisError(.connectionLost, "this connection ended with an earlier error")
        }
        // TLS may hold a session ticket for us, which brings no plaintext.
        guard try !receive(), !reader.holdsBytes else {
            throw RedisError(.connectionLost, "\(address) sent what no command had asked for")
        }
    }

    private func send(_ bytes: [UInt8], from start: Int) throws(RedisError) -> Int {
        let count = try bytes.withUnsafeBufferPointer { bytes throws(RedisError) in
            try transport.send(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start...])))
        }
        bytesSent += count
        return count
    }

    private func receive() throws(RedisError) -> Bool {
        try transport.receive { (bytes: UnsafeRawBufferPointer) throws(RedisError) -> Void in
            try reader.feed(bytes)
        }
    }
}
