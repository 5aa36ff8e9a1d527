//! What providers' errors mean and what to do about them.

use crate::{
    http::{
        auth::{Caller, permission::Permission},
        error::ApiResult,
        json::Json,
        page::Paged,
    },
    integrations::error_catalogue::{self, CatalogueEntry},
};

/// Read the error catalogue
///
/// For each code that failures of steps carry: what happened, and what to do. The whole list at once.
#[utoipa::path(get, path = "/api/error-catalogue", tag = "runs", operation_id = "listErrorCatalogue",
    responses((status = 200, description = "Every entry, by source and code.", body = Paged<CatalogueEntry>)))]
pub async fn list(caller: Caller) -> ApiResult<Json<Paged<CatalogueEntry>>> {
    caller.must(Permission::Read)?;
    Ok(Json(Paged::whole(error_catalogue::all().to_vec())))
}
