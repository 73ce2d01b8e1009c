using System.Text.Json.Serialization;

namespace Containers;

sealed class ErrorAnswer
{
    public List<ErrorItem?>? Errors { get; set; }
}

sealed class ErrorItem
{
    public string? Code { get; set; }
    public string? Message { get; set; }
}

sealed class TokenAnswer
{
    public string? Token { get; set; }
    [JsonPropertyName("access_token")] public string? AccessToken { get; set; }
    [JsonPropertyName("expires_in")] public double? ExpiresIn { get; set; }
}

sealed class TagsAnswer
{
    public string? Name { get; set; }
    public List<string?>? Tags { get; set; }
}

sealed class CatalogAnswer
{
    public List<string?>? Repositories { get; set; }
}

/// <summary>What a credential helper takes and gives (docker-credential-helpers).</summary>
sealed class HelperCredential
{
    [JsonPropertyName("ServerURL")] public string? ServerUrl { get; set; }
    [JsonPropertyName("Username")] public string? UserName { get; set; }
    [JsonPropertyName("Secret")] public string? Secret { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 32)]
[JsonSerializable(typeof(ErrorAnswer))]
[JsonSerializable(typeof(TokenAnswer))]
[JsonSerializable(typeof(TagsAnswer))]
[JsonSerializable(typeof(CatalogAnswer))]
[JsonSerializable(typeof(HelperCredential))]
sealed partial class RegistryJson : JsonSerializerContext;
