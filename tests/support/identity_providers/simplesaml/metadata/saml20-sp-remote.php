<?php
// The service providers, as their own metadata say.
$site = require dirname(__DIR__) . '/site.php';
foreach ($site['service_providers'] as $entity_id => $service_provider) {
    $metadata[$entity_id] = $service_provider;
}
