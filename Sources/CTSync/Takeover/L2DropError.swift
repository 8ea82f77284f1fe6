// SPDX-License-Identifier: GPL-2.0-or-later

/// Why the drop cannot be put on or off, as a sentence for a person that says what to do.
public struct L2DropError: Error, Equatable, CustomStringConvertible {
    /// The sentence.
    public let description: String

    /// Records what went wrong.
    public init(_ description: String) {
        self.description = description
    }
}
