// SPDX-License-Identifier: GPL-2.0-or-later

/// Why the drop cannot be put on or off, as a sentence for a person that says what to do.
package struct L2DropError: Error, Equatable, CustomStringConvertible {
    /// The sentence.
    package let description: String

    /// Records what went wrong.
    package init(_ description: String) {
        self.description = description
    }
}
