//! POST /mcp: the tools of a tenant.
