//! Domains that change hands: what no tenant can do, since a domain that was one's is nobody else's.

use super::{Operator, text};
use crate::{Domain, Problem, TenantId, aws::store_problem, registry::Row};

impl Operator {
    /// Forgets whose a domain is, so that the next who proves it has it. It is served no more, whatever its former owner is
    /// shown.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when it is not and was not this tenant's.
    pub async fn free_domain(&self, domain: &Domain, owner: &TenantId) -> Result<(), Problem> {
        let reply = self
            .client
            .delete_item()
            .table_name(&self.registry)
            .key("pk", text(&Row::Host(domain.clone()).key()))
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner.as_str()))
            .send()
            .await;
        match reply {
            Ok(_) => Ok(()),
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                Err(Problem::NotFound { kind: "domain of this tenant" })
            }
            Err(err) => Err(store_problem("writing the registry", err)),
        }
    }
}
