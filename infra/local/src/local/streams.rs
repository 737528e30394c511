//! Who follows the tables' streams, and until when.

use super::Local;

impl Local {
    /// Waits until the functions behind streams have followed every change that was made so far.
    pub async fn followed(&self) {
        if let Some(stream) = &self.stream {
            stream.delivered(self.aws.records()).await;
        }
    }

    /// Gives functions no more changes from here on.
    pub fn leave_streams(&self) {
        if let Some(stream) = &self.stream {
            stream.stop();
        }
    }

    /// The functions that follow the stream of a table.
    #[must_use]
    pub fn followers_of(&self, table: &str) -> Vec<String> {
        let of = format!("/{table}/stream/");
        let all = self.aws.mappings().all().into_iter();
        all.filter(|mapping| mapping.stream_arn.contains(&of)).map(|mapping| mapping.function).collect()
    }
}
