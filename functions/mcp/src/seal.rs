//! What a tool remembers between two rounds, sealed by the kernel.

use std::sync::atomic::{AtomicBool, Ordering};

use insula_tenancy::{Opened, StateSeal};

/// The kernel's seal, as the protocol asks for one. The kernel binds it to tenant, caller, tool and arguments, of
/// which `call` is the canonical form.
pub(crate) struct Seal {
    kernels: StateSeal,
    met_forgery: AtomicBool,
}

impl Seal {
    pub(crate) const fn new(kernels: StateSeal) -> Self {
        Self { kernels, met_forgery: AtomicBool::new(false) }
    }

    /// Whether a state came that was never made for its call. One that came too late is no forgery.
    pub(crate) fn met_forgery(&self) -> bool {
        self.met_forgery.load(Ordering::Relaxed)
    }
}

impl insula_mcp::StateSeal for Seal {
    fn seal(&self, _call: &[u8], state: &str) -> Option<String> {
        self.kernels.seal(state)
    }

    fn open(&self, _call: &[u8], sealed: &str) -> Option<String> {
        match self.kernels.open(sealed) {
            Opened::State(state) => Some(state),
            Opened::Late => None,
            Opened::Forged => {
                self.met_forgery.store(true, Ordering::Relaxed);
                None
            }
        }
    }
}
