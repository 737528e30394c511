//! TXT records, asked of one recursive resolver, with nothing remembered from one question to the next.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError as Refused, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{RData, RecordType},
    },
    system_conf,
};
use insula_tenancy::NoAnswer;

/// Longest wait for one server's answer, and for all of them.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_000);
const TIMEOUT: Duration = Duration::from_millis(2_500);
/// Records that are looked at. An answer has at most 64 KiB, which is what frames it over TCP.
const RECORDS_MAX: usize = 100;

/// Where the DNS is asked.
#[derive(Debug, Clone)]
pub struct Dns {
    config: ResolverConfig,
}

/// A resolver that can't be asked.
#[derive(Debug)]
pub enum DnsError {
    /// The setting is no address.
    Address,
    /// The system names none.
    System(NetError),
}

impl Dns {
    /// A way to the resolver at this address, at port 53 where it says none; to the system's own without it.
    ///
    /// # Errors
    /// [`DnsError::Address`] for a text that is no address, [`DnsError::System`] when the system has no resolver.
    pub fn open(address: Option<&str>) -> Result<Self, DnsError> {
        let Some(text) = address else {
            let (config, _options) = system_conf::read_system_conf().map_err(DnsError::System)?;
            return Ok(Self { config });
        };
        let at_53 = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53));
        let address: SocketAddr = text.parse().or_else(|_err| at_53()).map_err(|_err| DnsError::Address)?;
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        server.connections.iter_mut().for_each(|connection| connection.port = address.port());
        Ok(Self { config: ResolverConfig::from_name_servers(vec![server]) })
    }

    /// The texts of a name's TXT records, each with its strings joined; none, where the DNS says that there are none.
    /// What the name is an alias of counts as its own.
    ///
    /// # Errors
    /// [`NoAnswer`] when the DNS can't say, or not in 2.5 s.
    pub async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, NoAnswer> {
        let answered = tokio::time::timeout(TIMEOUT, self.look_up(name)).await;
        answered.unwrap_or(Err(NetError::Timeout)).map_err(|err| {
            tracing::warn!(error = %err, "the DNS did not answer");
            NoAnswer
        })
    }

    async fn look_up(&self, name: &str) -> Result<Vec<Vec<u8>>, NetError> {
        // Made for this question: its sockets and tasks end with it, and it has no answers of earlier ones.
        let mut builder =
            TokioResolver::builder_with_config(self.config.clone(), TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = ATTEMPT_TIMEOUT;
        options.attempts = 1;
        options.preserve_intermediates = false;
        let resolver = builder.build()?;
        // With the dot of the root nothing is tried after it.
        match resolver.lookup(format!("{name}."), RecordType::TXT).await {
            Ok(found) => {
                let texts = found.answers().iter().filter_map(|record| match &record.data {
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                });
                Ok(texts.take(RECORDS_MAX).collect())
            }
            Err(NetError::Dns(Refused::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
            {
                Ok(Vec::new())
            }
            Err(err) => Err(err),
        }
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "DNS_RESOLVER is no IP address, with a port or without",
            Self::System(_) => "the system's resolver can't be read",
        })
    }
}

impl std::error::Error for DnsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address => None,
            Self::System(err) => Some(err),
        }
    }
}
