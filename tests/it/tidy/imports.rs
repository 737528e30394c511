//! The packages: who may depend on whom, as ARCHITECTURE.md says it.

use std::{fs, process::Command};

use serde_json::Value;

use super::{Finding, but_for};
use crate::harness::root;

const JSON: &str = "insula-json";
const TENANCY: &str = "insula-tenancy";
const MCP: &str = "insula-mcp";
const GATEWAY: &str = "insula-gateway";
const TOOLS: &str = "insula-tools";
const LOCAL: &str = "insula-local";

/// The packages of a folder, and those of ours that they may depend on. Tests may depend on all.
const DIRECTIONS: [(&str, &[&str]); 8] = [
    ("functions/", &[GATEWAY, JSON, MCP, TENANCY, TOOLS]),
    ("infra/cli", &[JSON, LOCAL, TENANCY, TOOLS]),
    ("infra/local", &[JSON, TENANCY, TOOLS]),
    ("shared/gateway", &[JSON, TENANCY]),
    ("shared/json", &[]),
    ("shared/mcp", &[JSON]),
    ("shared/tenancy", &[JSON]),
    ("shared/tools", &[JSON, MCP, TENANCY]),
];
const TESTS: &str = "tests";

/// What only these folders may depend on; a name that ends in `-` stands for all that begin so.
const KEPT_BY: [(&str, &[&str]); 6] = [
    ("aws-config", &["shared/tenancy"]),
    ("aws-sdk-", &["shared/tenancy", TESTS]),
    ("hickory-", &["functions/domains", TESTS]),
    ("jsonwebtoken", &["shared/tenancy"]),
    ("lambda_http", &["shared/gateway"]),
    ("lambda_runtime", &["shared/gateway"]),
];

const UNDIRECTED: [&str; 0] = [];
const UNLINTED: [&str; 0] = [];

/// A package of the workspace.
struct Package {
    name: String,
    /// From the root.
    folder: String,
    /// By their own names, whatever they are called here, those of tests and build scripts too.
    dependencies: Vec<String>,
    manifest: String,
}

fn packages() -> Vec<Package> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = |package: &Value| {
        let path = text(&package["manifest_path"]);
        let folder = path.strip_prefix(&text(&metadata["workspace_root"])).unwrap();
        Package {
            name: text(&package["name"]),
            folder: folder.trim_start_matches('/').trim_end_matches("/Cargo.toml").to_owned(),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|each| text(&each["name"]))
                .collect(),
            manifest: fs::read_to_string(path).unwrap(),
        }
    };
    metadata["packages"].as_array().unwrap().iter().map(read).collect()
}

/// What these packages depend on and should not.
fn astray(packages: &[Package]) -> Vec<Finding> {
    let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for Package { folder, dependencies, .. } in packages {
        let is_here = |(place, _): &&(&str, &[&str])| {
            folder == place || place.ends_with('/') && folder.starts_with(place)
        };
        let allowed = DIRECTIONS.iter().find(is_here);
        if allowed.is_none() && folder != TESTS {
            found.push(Finding::new(folder, "is not in the table of directions"));
        }
        for dependency in dependencies {
            let is_allowed = allowed.is_none_or(|(_, names)| names.contains(&dependency.as_str()));
            if ours.contains(&dependency.as_str()) && !is_allowed {
                found.push(Finding::new(folder, format!("must not depend on {dependency}")));
            }
            let is_named =
                |name: &str| dependency == name || name.ends_with('-') && dependency.starts_with(name);
            let keepers = KEPT_BY.iter().find(|(name, _)| is_named(name));
            if let Some((_, keepers)) = keepers.filter(|(_, keepers)| !keepers.contains(&folder.as_str())) {
                found.push(Finding::new(
                    folder,
                    format!("depends on {dependency}, which {} keeps", keepers.join(" or ")),
                ));
            }
        }
    }
    found
}

/// A package without the workspace's lints is held to none of them.
fn unlinted(package: &Package) -> Option<Finding> {
    let has_lints = package.manifest.contains("\n[lints]\nworkspace = true\n");
    (!has_lints).then(|| Finding::new(&package.folder, "has not the workspace's lints"))
}

#[test]
fn imports_run_one_way() {
    assert_eq!(but_for(astray(&packages()), &UNDIRECTED), []);
}

#[test]
fn every_package_has_the_workspaces_lints() {
    assert_eq!(but_for(packages().iter().filter_map(unlinted), &UNLINTED), []);
}

/// The workspace with one more dependency.
fn with(folder: &str, dependency: &str) -> Vec<Package> {
    let mut packages = packages();
    let package = packages.iter_mut().find(|package| package.folder == folder);
    package.unwrap().dependencies.push(dependency.to_owned());
    packages
}

#[test]
fn a_dependency_that_goes_astray_is_found() {
    for (folder, dependency, why) in [
        ("functions/vend", "authorize", "must not depend on authorize"),
        ("functions/mcp", LOCAL, "must not depend on insula-local"),
        ("shared/mcp", TENANCY, "must not depend on insula-tenancy"),
        ("shared/tenancy", GATEWAY, "must not depend on insula-gateway"),
        ("shared/gateway", TOOLS, "must not depend on insula-tools"),
        ("shared/json", TENANCY, "must not depend on insula-tenancy"),
        ("shared/tools", "lambda_http", "depends on lambda_http, which shared/gateway keeps"),
        ("functions/mcp", "lambda_runtime", "depends on lambda_runtime, which shared/gateway keeps"),
        (
            "functions/mcp",
            "aws-sdk-dynamodb",
            "depends on aws-sdk-dynamodb, which shared/tenancy or tests keeps",
        ),
        ("infra/local", "aws-sdk-s3", "depends on aws-sdk-s3, which shared/tenancy or tests keeps"),
        (
            "functions/config",
            "hickory-resolver",
            "depends on hickory-resolver, which functions/domains or tests keeps",
        ),
        ("infra/local", "jsonwebtoken", "depends on jsonwebtoken, which shared/tenancy keeps"),
    ] {
        assert_eq!(but_for(astray(&with(folder, dependency)), &UNDIRECTED), [Finding::new(folder, why)]);
    }
    for (folder, dependency) in [("functions/vend", MCP), ("shared/tenancy", "aws-sdk-s3"), (TESTS, "vend")] {
        assert_eq!(but_for(astray(&with(folder, dependency)), &UNDIRECTED), []);
    }
}

#[test]
fn a_package_that_nobody_placed_is_found() {
    let mut packages = packages();
    let package = |folder: &str, manifest: &str| Package {
        name: "new".to_owned(),
        folder: folder.to_owned(),
        dependencies: Vec::new(),
        manifest: manifest.to_owned(),
    };
    packages.push(package("shared/mcp2", "[package]\nname = \"new\"\n"));
    let found = [Finding::new("shared/mcp2", "is not in the table of directions")];
    assert_eq!(but_for(astray(&packages), &UNDIRECTED), found);
    assert!(unlinted(packages.last().unwrap()).is_some());
    assert_eq!(unlinted(&package("a", "[package]\n\n[lints]\nworkspace = true\n")), None);
}
