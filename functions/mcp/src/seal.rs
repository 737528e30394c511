//! What a tool remembers between two rounds, sealed by the kernel.

use insula_tenancy::StateSeal;

/// The kernel's seal, as the protocol asks for one. The kernel binds it to tenant, caller, tool and arguments, of
/// which `call` is the canonical form.
pub(crate) struct Seal(pub(crate) StateSeal);

impl insula_mcp::StateSeal for Seal {
    fn seal(&self, _call: &[u8], state: &str) -> Option<String> {
        self.0.seal(state)
    }

    fn open(&self, _call: &[u8], sealed: &str) -> Option<String> {
        self.0.open(sealed)
    }
}
