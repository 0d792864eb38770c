//! Parsing of image manifests, which the API returns as JSON inside a string, into layers and their sizes.
//!
//! Docker schema 2 and OCI manifests name a configuration and layers with their sizes. Manifest lists and OCI indexes name
//! other manifests. Schema 1 names layers without sizes. A manifest may also be missing or broken. Sources: the OCI image
//! specification; Docker's "Image Manifest Version 2, Schema 2".

use super::wire;
use crate::model::tags::{Blob, Contents, Digest32};
use serde_json::value::RawValue;

/// The contents of a manifest. One blob that cannot be understood makes all of it unknown: its bytes would be missing.
pub fn contents(manifest: &str) -> Contents {
    let Ok([config, layers, manifests]) = wire::fields(manifest, ["config", "layers", "manifests"]) else {
        return Contents::Unknown;
    };
    // Layers make an image, whatever media type it claims; only an index has a list of manifests.
    image(config, layers).map(Contents::Image).or_else(|| index(manifests).map(Contents::Index)).unwrap_or_default()
}

fn image(config: Option<&RawValue>, layers: Option<&RawValue>) -> Option<Vec<Blob>> {
    let layers = descriptors(layers)?;
    let config = Descriptor::parse(config?)?;
    std::iter::once(&config).chain(layers.iter().filter(|layer| !layer.is_foreign())).map(Descriptor::blob).collect()
}

fn index(manifests: Option<&RawValue>) -> Option<Vec<Digest32>> {
    descriptors(manifests)?.iter().filter(|image| !image.is_attestation()).map(Descriptor::digest).collect()
}

fn descriptors(list: Option<&RawValue>) -> Option<Vec<Descriptor<'_>>> {
    let list: Vec<&RawValue> = serde_json::from_str(list?.get()).ok()?;
    list.into_iter().map(Descriptor::parse).collect()
}

/// A reference to a blob or a manifest.
struct Descriptor<'a> {
    media_type: Option<&'a RawValue>,
    digest: Option<&'a RawValue>,
    size: Option<&'a RawValue>,
    platform: Option<&'a RawValue>,
}

impl<'a> Descriptor<'a> {
    fn parse(raw: &'a RawValue) -> Option<Self> {
        let [media_type, digest, size, platform] =
            wire::fields(raw.get(), ["mediaType", "digest", "size", "platform"]).ok()?;
        Some(Self { media_type, digest, size, platform })
    }

    fn blob(&self) -> Option<Blob> {
        Some(Blob { digest: self.digest()?, size: wire::natural(self.size?)? })
    }

    fn digest(&self) -> Option<Digest32> {
        Digest32::parse(&wire::string(self.digest?.get())?)
    }

    /// Whether the layer is stored elsewhere: layers that may not be distributed, such as those of Windows, are downloaded
    /// from their vendor.
    fn is_foreign(&self) -> bool {
        let media_type = self.media_type.and_then(|raw| wire::string(raw.get())).unwrap_or_default();
        media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
    }

    /// Whether it is an attestation: build tools add them to an index, with the platform `unknown`.
    fn is_attestation(&self) -> bool {
        let os = self.platform.and_then(|raw| wire::fields(raw.get(), ["os"]).ok()).and_then(|[os]| os);
        os.and_then(|raw| wire::string(raw.get())).is_some_and(|os| os == "unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn descriptor(media_type: &str, digit: char, size: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"sha256:{}"}}"#, hex_of(digit))
    }

    fn blob_of(digit: char, size: u64) -> Blob {
        Blob { digest: Digest32::parse(&format!("sha256:{}", hex_of(digit))).unwrap(), size }
    }

    #[test]
    fn images_of_docker_and_oci_are_their_config_and_layers() {
        for (manifest, config, layer) in [
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
        ] {
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest}","config":{},"layers":[{},{}],"annotations":{{}}}}"#,
                descriptor(config, 'a', "1862"),
                descriptor(layer, 'b', "1292800"),
                descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 'c', "9000000000"),
            );
            assert_eq!(contents(&text), Contents::Image(vec![blob_of('a', 1862), blob_of('b', 1_292_800)]));
        }
    }

    #[test]
    fn an_index_is_the_digests_of_its_images() {
        let image = descriptor("application/vnd.oci.image.manifest.v1+json", 'd', "700");
        let attestation = image.replace('}', r#","platform":{"architecture":"unknown","os":"unknown"}}"#);
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{image},{attestation}]}}"#
        );
        assert_eq!(contents(&text), Contents::Index(vec![blob_of('d', 0).digest]));
    }

    #[test]
    fn what_names_no_sizes_is_unknown_and_not_nothing() {
        let config = descriptor("c", 'a', "1");
        let schema_1 =
            format!(r#"{{"schemaVersion":1,"fsLayers":[{{"blobSum":"sha256:{}"}}],"history":[]}}"#, hex_of('a'));
        for text in [
            "",
            "null",
            "{}",
            "[]",
            "{\"config\":",
            &schema_1,
            &format!(r#"{{"config":{config},"layers":null}}"#),
            &format!(r#"{{"config":{config},"layers":[7]}}"#),
            &format!(r#"{{"config":{config},"layers":[{}]}}"#, descriptor("l", 'b', "-5")),
            &format!(r#"{{"config":{config},"layers":[{}]}}"#, descriptor("l", 'b', "1e400")),
            &format!(r#"{{"config":{config},"layers":[{{"size":5,"digest":7}}]}}"#),
            &format!(r#"{{"layers":[{}]}}"#, descriptor("l", 'b', "5")),
            r#"{"manifests":[{"digest":"no algorithm"}]}"#,
        ] {
            assert_eq!(contents(text), Contents::Unknown, "{text}");
        }
    }
}
