//! What a repository client does beside pushing, at a real registry.

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use windlass_oci::{Reference, RepositoryName, Tag};
    use windlass_registry_client::auth::CredentialChain;
    use windlass_registry_client::http::{Http, HttpConfig};
    use windlass_registry_client::{
        Client, ClientOptions, ManifestPresence, Presence, RepositoryClient, Transport,
        fallback_tag,
    };
    use windlass_testkit::{Call, ImageBuilder, IndexBuilder, TestRegistry, on};

    fn client(registry: &TestRegistry) -> RepositoryClient {
        let host: windlass_oci::Registry = registry.host().parse().unwrap();
        let options =
            ClientOptions { transport: Transport::default_for(&host), ..ClientOptions::default() };
        let nobody = Arc::new(CredentialChain(Vec::new()));
        let client = Client::new(Http::new(HttpConfig::default()), host, nobody, options);
        client.repository(format!("{}/app", registry.host()).parse().unwrap())
    }

    fn tag(text: &str) -> Reference {
        Reference::Tag(text.parse().unwrap())
    }

    #[tokio::test]
    async fn all_pages_of_a_list_of_tags_are_read() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).layers(1, 100).build();
        for name in ["a", "b", "c", "d", "e"] {
            registry.seed("app", &image, Some(name));
        }
        // The registry gives all at once where it is not asked for pages; others do not.
        let pages = on(Call::TagsList).once().garble(|_, reply| {
            reply.body = r#"{"name":"app","tags":["a","b"]}"#.into();
            let link = "</v2/app/tags/list?n=3&last=b>; rel=\"next\"";
            reply.headers.insert("link", link.parse().unwrap());
        });
        registry.fault(pages);
        assert_eq!(client(&registry).list_tags().await.unwrap(), ["a", "b", "c", "d", "e"]);
        let nothing = TestRegistry::plain();
        let error = client(&nothing).list_tags().await.unwrap_err();
        assert!(error.to_string().contains("NAME_UNKNOWN"), "{error}");
    }

    #[tokio::test]
    async fn a_list_that_leads_to_itself_comes_to_an_end() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).build();
        registry.seed("app", &image, Some("a"));
        registry.fault(on(Call::TagsList).with_header("link", "</v2/app/tags/list>; rel=next"));
        assert_eq!(client(&registry).list_tags().await.unwrap().len(), 1000);
    }

    #[tokio::test]
    async fn referrers_come_from_the_api_or_from_the_fall_back_tag() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).layers(1, 100).build();
        let signature =
            ImageBuilder::new(2).empty_config().subject(image.root()).artifact_type("a/b").build();
        registry.seed("app", &image, Some("v1"));
        registry.seed("app", &signature, None);
        let client = client(&registry);
        let found = client.referrers(image.digest()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(&found[0].digest, signature.digest());
        assert!(client.referrers(signature.digest()).await.unwrap().is_empty());

        // Without the API: nothing under the tag, then an index there.
        registry.fault(on(Call::Referrers).answer(404));
        assert!(client.referrers(image.digest()).await.unwrap().is_empty());
        let index = IndexBuilder::new().child(None, &signature).build();
        registry.seed("app", &index, Some(&fallback_tag(image.digest())));
        let found = client.referrers(image.digest()).await.unwrap();
        assert_eq!(&found[0].digest, signature.digest());
        // GitLab gives the subject itself under that tag.
        registry.seed("app", &image, Some(&fallback_tag(image.digest())));
        assert!(client.referrers(image.digest()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn manifests_are_read_and_tags_deleted_by_their_name_alone() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).layers(1, 100).build();
        registry.seed("app", &image, Some("v1"));
        registry.seed("app", &image, Some("v2"));
        let client = client(&registry);
        let manifest = client.get_manifest(&tag("v1")).await.unwrap().unwrap();
        assert_eq!(manifest.digest(), image.digest());
        assert_eq!(client.get_manifest(&tag("v9")).await.unwrap(), None);
        let v1: Tag = "v1".parse().unwrap();
        client.delete_tag(&v1).await.unwrap();
        client.delete_tag(&v1).await.unwrap();
        assert_eq!(registry.tag("app", "v1"), None);
        assert_eq!(registry.tag("app", "v2").as_ref(), Some(image.digest()));
        assert!(registry.has_image("app", &image));
    }

    #[tokio::test]
    async fn a_manifest_with_another_digest_than_it_was_asked_for_by_is_refused() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).layers(1, 100).build();
        registry.seed("app", &image, Some("v1"));
        registry.fault(on(Call::ManifestGet).with_body("{}"));
        let by_digest = Reference::Digest(image.digest().clone());
        let error = client(&registry).get_manifest(&by_digest).await.unwrap_err();
        assert!(error.to_string().contains("has another digest"), "{error}");
    }

    #[tokio::test]
    async fn blobs_are_found_read_and_mounted() {
        let registry = TestRegistry::plain();
        let image = ImageBuilder::new(1).layers(1, 100).build();
        registry.seed("other", &image, Some("v1"));
        let client = client(&registry);
        let digest = image.blobs()[1].digest.clone();
        assert_eq!(client.head_blob(&digest).await.unwrap(), Presence::Absent);
        let other: RepositoryName = "other".parse().unwrap();
        assert!(client.mount_blob(&digest, &other).await.unwrap());
        assert_eq!(client.head_blob(&digest).await.unwrap(), Presence::Present);
        let bytes = client.get_blob(&digest).await.unwrap().bytes(1000).await.unwrap();
        assert_eq!(bytes, image.bytes(&digest));
        // A mount that begins an upload instead is no mount, and leaves no upload open.
        let nowhere: RepositoryName = "nowhere".parse().unwrap();
        let missing = windlass_oci::Digest::sha256(b"missing");
        assert!(!client.mount_blob(&missing, &nowhere).await.unwrap());
        assert_eq!(registry.calls(Call::UploadDelete).len(), 1);
        assert_eq!(client.head_manifest(&tag("v1")).await.unwrap(), ManifestPresence::Absent);
    }

    #[tokio::test]
    async fn warnings_are_kept_once_each_and_not_without_end() {
        let registry = TestRegistry::plain();
        let spam = on(Call::ManifestHead).garble(|head, reply| {
            for warning in ["299 - \"same\"", "199 - \"other\"", "nonsense"] {
                reply.headers.append("warning", warning.parse().unwrap());
            }
            let own = format!("299 - \"about {}\"", head.path);
            reply.headers.append("warning", own.parse().unwrap());
        });
        registry.fault(spam);
        let client = client(&registry);
        for number in 0..50 {
            client.head_manifest(&tag(&format!("v{number}"))).await.unwrap();
        }
        let warnings = client.client().warnings();
        assert_eq!(warnings.len(), 32);
        assert!(warnings.contains(&"same".to_owned()));
    }

    #[tokio::test]
    async fn access_is_tried_and_nothing_left_behind() {
        let registry = TestRegistry::plain();
        let access = client(&registry).check_access().await;
        assert!(access.pull.is_ok() && access.push.is_ok());
        assert_eq!(registry.calls(Call::UploadDelete).len(), 1);
        registry.fault(on(Call::UploadPost).refuse(403, "DENIED", "read only"));
        let access = client(&registry).check_access().await;
        assert!(access.push.unwrap_err().to_string().contains("read only"));
    }
}
