//! The laptop: the deployed system with its AWS replaced. It is never part of a deployment.
//!
//! [`Local`] reads `template.yaml`, starts the function binaries that it names behind a Lambda Runtime API, and puts
//! an API Gateway in front of them and an AWS behind them that enforce what the template says.

pub mod aws;
mod demo;
mod functions;
pub mod gateway;
mod hands;
pub mod idp;
pub mod lambda;
mod local;
mod names;
mod stream;
pub mod template;

pub use demo::{DEMO, DemoError, DemoTenant, DemoUser, read_tenants};
pub use functions::{BuildError, build_functions, own_folder};
pub use hands::{Hands, Left};
pub use local::{Edge, Local, Options, StartError, Watch};
pub use names::Names;
