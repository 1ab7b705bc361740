//! Free ports of this machine, for servers that are to disturb nobody.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Ports that differ. They are free now, and may be taken when a server asks for them.
pub(crate) fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    // All listeners live until all ports are known, so that the ports differ.
    let mut listeners = Vec::new();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("found no free port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
